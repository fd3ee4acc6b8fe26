package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// PlanLimits overrides limits of one plan; nil leaves the plan table's own.
type PlanLimits struct {
	EmailsPerPeriod   *int `json:"emails_per_period"`
	Mailboxes         *int `json:"mailboxes"`
	People            *int `json:"people"`
	RequestsPerMinute *int `json:"requests_per_minute"`
	FullPerDay        *int `json:"full_per_day"`
}

// Plans is the overrides by plan name: free, basic, pro, enterprise.
type Plans map[string]PlanLimits

// UnmarshalText reads the JSON strictly: unknown plans, unknown limits and negative figures are refused.
func (p *Plans) UnmarshalText(text []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	var plans map[string]PlanLimits
	if err := decoder.Decode(&plans); err != nil {
		return fmt.Errorf("not the expected JSON: %w", err)
	}
	if decoder.More() {
		return errors.New("text after the JSON")
	}
	for name, limits := range plans {
		if !slices.Contains([]string{"free", "basic", "pro", "enterprise"}, name) {
			return fmt.Errorf("no plan is called %q", name)
		}
		for _, n := range []*int{limits.EmailsPerPeriod, limits.Mailboxes, limits.People, limits.RequestsPerMinute, limits.FullPerDay} {
			if n != nil && *n < 0 {
				return fmt.Errorf("plan %s has a negative limit", name)
			}
		}
	}
	*p = plans
	return nil
}
