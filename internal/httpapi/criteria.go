package httpapi

import (
	"encoding/json"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mailsweep/internal/sweep"
)

// Criteria documents the tree that sweep.ParseCriteria reads: one key per node.
type Criteria struct {
	All           []Criteria `json:"all,omitempty" minItems:"1" doc:"Every one of these"`
	Any           []Criteria `json:"any,omitempty" minItems:"1" doc:"At least one of these"`
	Not           *Criteria  `json:"not,omitempty"`
	Category      string     `json:"category,omitempty" enum:"primary,social,promotions,updates,forums"`
	From          string     `json:"from,omitempty" maxLength:"500" doc:"An address, or @domain for the domain and its sub-domains" example:"@news.example"`
	ListID        string     `json:"list_id,omitempty" maxLength:"500"`
	Subject       string     `json:"subject,omitempty" maxLength:"500"`
	OlderThanDays int        `json:"older_than_days,omitempty" minimum:"1" maximum:"36500"`
	NewerThanDays int        `json:"newer_than_days,omitempty" minimum:"1" maximum:"36500"`
	Before        time.Time  `json:"before,omitzero" doc:"Earlier than this"`
	After         time.Time  `json:"after,omitzero" doc:"At this time or later"`
	LargerThan    int64      `json:"larger_than,omitempty" minimum:"1" doc:"Bytes"`
	SmallerThan   int64      `json:"smaller_than,omitempty" minimum:"1" doc:"Bytes"`
	Unread        bool       `json:"unread,omitempty"`
	HasAttachment bool       `json:"has_attachment,omitempty"`
	Label         string     `json:"label,omitempty" maxLength:"500" doc:"Name of a label"`
	In            string     `json:"in,omitempty" enum:"inbox,archive,anywhere"`
	Replied       bool       `json:"replied,omitempty" doc:"In a thread that the customer wrote in"`
	Query         string     `json:"query,omitempty" maxLength:"500" doc:"Gmail search text"`
}

// TransformSchema says that a node has one key.
func (Criteria) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema {
	one := 1
	s.MinProperties, s.MaxProperties = &one, &one
	s.Description = "A tree with exactly one key per node: all, any, not, or one leaf. At most 500 nodes, 16 deep. Trash, spam, sent mail and drafts never match."
	return s
}

// rawCriteria is a tree as it came: sweep alone judges it, so that pages and API say the same.
type rawCriteria []byte

// UnmarshalJSON keeps a copy of the text.
func (c *rawCriteria) UnmarshalJSON(raw []byte) error {
	*c = append((*c)[:0], raw...)
	return nil
}

// Schema points to the tree's description. The reference is an extension, because huma would follow a real one and judge the tree too.
func (rawCriteria) Schema(r huma.Registry) *huma.Schema {
	ref := r.Schema(reflect.TypeFor[Criteria](), true, "")
	return &huma.Schema{Extensions: map[string]any{"$ref": ref.Ref}}
}

func (c rawCriteria) parse() (sweep.Criteria, error) {
	if len(c) == 0 {
		return sweep.Criteria{}, sweep.Errorf(sweep.Invalid, "the criteria are missing").At("body.criteria", "is needed")
	}
	return sweep.ParseCriteria(c)
}

var _ json.Unmarshaler = (*rawCriteria)(nil)

// protectBody switches single protections; what is absent stays on.
type protectBody struct {
	Starred      *bool `json:"starred,omitempty" doc:"Threads with a star"`
	Important    *bool `json:"important,omitempty"`
	Replied      *bool `json:"replied,omitempty" doc:"Threads that the customer wrote in"`
	UserLabelled *bool `json:"user_labelled,omitempty"`
	KeepList     *bool `json:"keep_list,omitempty"`
	RecentDays   *int  `json:"recent_days,omitempty" minimum:"0" maximum:"36500" doc:"7 unless said otherwise; 0: off"`
}

func (b *protectBody) protect() sweep.Protect {
	p := sweep.ProtectAll()
	if b == nil {
		return p
	}
	for _, sw := range []struct {
		said *bool
		at   *bool
	}{{b.Starred, &p.Starred}, {b.Important, &p.Important}, {b.Replied, &p.Replied}, {b.UserLabelled, &p.UserLabelled}, {b.KeepList, &p.KeepList}} {
		if sw.said != nil {
			*sw.at = *sw.said
		}
	}
	if b.RecentDays != nil {
		p.RecentDays = *b.RecentDays
	}
	return p
}
