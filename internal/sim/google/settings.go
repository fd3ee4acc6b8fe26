package google

import (
	"slices"
	"strconv"
	"sync"
)

// settings are what a mailbox keeps beside its mail.
type settings struct {
	mu      sync.Mutex
	made    int
	filters []filter
}

// filter is kept and shown; the Sim does not apply it to mail that arrives.
type filter struct {
	ID       string         `json:"id"`
	Criteria map[string]any `json:"criteria,omitempty"`
	Action   map[string]any `json:"action,omitempty"`
}

type filterList struct {
	Filter []filter `json:"filter,omitempty"`
}

const maxFilters = 1000

func listFilters(c *call) (any, error) {
	s := &c.box.settings
	s.mu.Lock()
	defer s.mu.Unlock()
	return filterList{slices.Clone(s.filters)}, nil
}

func createFilter(c *call) (any, error) {
	var in filter
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if len(in.Criteria) == 0 || len(in.Action) == 0 {
		return nil, invalid("Filter criteria and action are required")
	}
	s := &c.box.settings
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.filters) >= maxFilters {
		return nil, invalid("Too many filters")
	}
	s.made++
	in.ID = "ANe1Bmj" + strconv.Itoa(s.made)
	s.filters = append(s.filters, in)
	return in, nil
}

func getFilter(c *call) (any, error) {
	return c.box.settings.found(c.req.PathValue("filter"), func(s *settings, i int) any { return s.filters[i] })
}

func deleteFilter(c *call) (any, error) {
	return c.box.settings.found(c.req.PathValue("filter"), func(s *settings, i int) any {
		s.filters = slices.Delete(s.filters, i, i+1)
		return nil
	})
}

// found gives do the place of a filter.
func (s *settings) found(id string, do func(s *settings, i int) any) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.filters, func(f filter) bool { return f.ID == id })
	if i < 0 {
		return nil, notFound()
	}
	return do(s, i), nil
}
