package google

import (
	"fmt"
	"slices"
	"strings"

	"mailsweep/internal/sim/google/box"
)

// Quirks switch what is not known about Gmail, so that a client can be tried under either. AllQuirks lists them.
type Quirks struct {
	TrashDropsInbox    bool   // adding TRASH alone removes INBOX
	TrashLabelHidden   bool   // labelIds=TRASH and labelIds=SPAM find nothing without includeSpamTrash
	LabelsSkipHidden   bool   // labels.get counts no mail in spam and trash, but for those two labels
	ProfileSkipsHidden bool   // nor does getProfile
	ListsChats         bool   // listings show mail with CHAT
	AfterExcludes      bool   // after: leaves its own second out
	BeforeIncludes     bool   // before: takes its own second in
	LargerIncludes     bool   // larger: takes its own size in
	SmallerIncludes    bool   // so does smaller:
	DecimalSizes       bool   // larger:1K is 1,000 bytes
	RoughSizes         bool   // sizeEstimate is up to 3 % from what larger: compares
	PartialModify      bool   // a batchModify that a fault answers with 5xx has done half of its ids
	PageTokens         string // "" = cursor, "offset" = pages are counted anew, so a shrinking result skips, "expire" = refused after a change
	NoCategories       bool   // generated mailboxes have no categories (Smart features off)
	PlainImport        bool   // imported mail gets categories only from X-Gmail-Labels
	SwallowWords       bool   // bare words after an operator's value belong to it
	UnknownFindsNone   bool   // a word with an unknown operator finds nothing; else it is text
	Estimate           string // resultSizeEstimate: "" = 201 while there are more pages, "exact", "noisy"
	Encoding           string // of errors: "" = both, "v1" = errors[] only, "v2" = status and details[] only; $.xgafv asks for one
	FixedWindow        bool   // quota is counted in whole minutes, else over the last 60 s
	RetryHeader        bool   // refusals for quota bear Retry-After
}

// Quirk is one thing that is not known, with the ways in which it may be; the first is the Sim's default.
type Quirk struct {
	Name   string
	Says   string
	Values []string
	set    func(*Config, string)
}

// AllQuirks lists every switch.
func AllQuirks() []Quirk {
	flag := func(name, says string, at func(*Config) *bool) Quirk {
		return Quirk{name, says, []string{"false", "true"}, func(c *Config, v string) { *at(c) = v == "true" }}
	}
	choice := func(name, says string, at func(*Config) *string, values ...string) Quirk {
		return Quirk{name, says, values, func(c *Config, v string) {
			if *at(c) = v; v == values[0] {
				*at(c) = ""
			}
		}}
	}
	return []Quirk{
		flag("trash_drops_inbox", "adding TRASH alone removes INBOX", func(c *Config) *bool { return &c.Quirks.TrashDropsInbox }),
		flag("trash_label_hidden", "labelIds=TRASH finds nothing without includeSpamTrash", func(c *Config) *bool { return &c.Quirks.TrashLabelHidden }),
		flag("labels_skip_hidden", "labels.get counts no mail in spam and trash", func(c *Config) *bool { return &c.Quirks.LabelsSkipHidden }),
		flag("profile_skips_hidden", "getProfile counts no mail in spam and trash", func(c *Config) *bool { return &c.Quirks.ProfileSkipsHidden }),
		flag("lists_chats", "listings show mail with CHAT", func(c *Config) *bool { return &c.Quirks.ListsChats }),
		flag("after_excludes", "after: leaves its own second out", func(c *Config) *bool { return &c.Quirks.AfterExcludes }),
		flag("before_includes", "before: takes its own second in", func(c *Config) *bool { return &c.Quirks.BeforeIncludes }),
		flag("larger_includes", "larger: takes its own size in", func(c *Config) *bool { return &c.Quirks.LargerIncludes }),
		flag("smaller_includes", "smaller: takes its own size in", func(c *Config) *bool { return &c.Quirks.SmallerIncludes }),
		flag("decimal_sizes", "larger:1K is 1,000 bytes", func(c *Config) *bool { return &c.Quirks.DecimalSizes }),
		flag("rough_sizes", "sizeEstimate is up to 3 % from what larger: compares", func(c *Config) *bool { return &c.Quirks.RoughSizes }),
		flag("partial_modify", "a batchModify that fails with 5xx has done half", func(c *Config) *bool { return &c.Quirks.PartialModify }),
		choice("page_tokens", "what a page token keeps", func(c *Config) *string { return &c.Quirks.PageTokens }, "cursor", "offset", "expire"),
		flag("no_categories", "mailboxes have no categories", func(c *Config) *bool { return &c.Quirks.NoCategories }),
		flag("plain_import", "imported mail gets no category of ours", func(c *Config) *bool { return &c.Quirks.PlainImport }),
		flag("swallow_words", "bare words after an operator's value belong to it", func(c *Config) *bool { return &c.Quirks.SwallowWords }),
		flag("unknown_finds_none", "a word with an unknown operator finds nothing", func(c *Config) *bool { return &c.Quirks.UnknownFindsNone }),
		choice("estimate", "resultSizeEstimate", func(c *Config) *string { return &c.Quirks.Estimate }, "201", "exact", "noisy"),
		choice("encoding", "parts of an error's body", func(c *Config) *string { return &c.Quirks.Encoding }, "both", "v1", "v2"),
		flag("fixed_window", "quota is counted in whole minutes", func(c *Config) *bool { return &c.Quirks.FixedWindow }),
		flag("retry_header", "refusals for quota bear Retry-After", func(c *Config) *bool { return &c.Quirks.RetryHeader }),
		flag("charge_refused", "refused calls count against the quota", func(c *Config) *bool { return &c.ChargeRefused }),
		{"refusals", "status of refusals for the user's quota", []string{"403", "429", "mixed"}, func(c *Config, v string) {
			c.Share429 = map[string]float64{"429": 1, "mixed": 0.5}[v]
		}},
	}
}

// Set switches a quirk in a configuration; a value that the quirk does not have is an error.
func (q Quirk) Set(c *Config, value string) error {
	if !slices.Contains(q.Values, value) {
		return fmt.Errorf("quirk %s: %q is none of %q", q.Name, value, q.Values)
	}
	q.set(c, value)
	return nil
}

// SetQuirks switches what a list like "trash_drops_inbox,page_tokens=expire" says; a name without a value means true.
func (c *Config) SetQuirks(list string) error {
	all := AllQuirks()
	for one := range strings.SplitSeq(list, ",") {
		name, value, given := strings.Cut(strings.TrimSpace(one), "=")
		if name == "" {
			continue
		}
		if !given {
			value = "true"
		}
		i := slices.IndexFunc(all, func(q Quirk) bool { return q.Name == name })
		if i < 0 {
			return fmt.Errorf("quirk %q is unknown", name)
		}
		if err := all[i].Set(c, value); err != nil {
			return err
		}
	}
	return nil
}

// SetQuirks says what a mailbox to come is like where that is not as the Sim's own Config has it, in a list as Config.SetQuirks takes. An
// address that is taken, and a switch of the whole project, are errors.
func (s *Sim) SetQuirks(email, list string) error {
	email = strings.ToLower(email)
	if _, err := s.Mailbox(email); err == nil {
		return fmt.Errorf("quirks of %s: the mailbox is there already", email)
	}
	c := s.like(email)
	if err := c.SetQuirks(list); err != nil {
		return err
	}
	if c.Quirks.FixedWindow != s.cfg.Quirks.FixedWindow {
		return fmt.Errorf("quirks of %s: fixed_window is the whole project's", email)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.likes[email] = c
	return nil
}

// like is how a mailbox is set up.
func (s *Sim) like(email string) Config {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if c, ok := s.likes[email]; ok {
		return c
	}
	return s.cfg
}

// options hands the mailbox what concerns it.
func (c Config) options() box.Options {
	q := c.Quirks
	return box.Options{
		Now: c.Now, Seed: c.Seed, HistoryLimit: c.HistoryLimit, TrashDropsInbox: q.TrashDropsInbox, TrashLabelHidden: q.TrashLabelHidden,
		LabelsSkipHidden: q.LabelsSkipHidden, ProfileSkipsHidden: q.ProfileSkipsHidden, ListsChats: q.ListsChats, AfterExcludes: q.AfterExcludes,
		BeforeIncludes: q.BeforeIncludes, LargerIncludes: q.LargerIncludes, SmallerIncludes: q.SmallerIncludes, DecimalSizes: q.DecimalSizes,
		UnknownFindsNone: q.UnknownFindsNone,
	}
}
