package stripe

// Books are what the account has, by owner: what a test compares others' books with.
type Books struct {
	Customers []string            // that are not deleted
	Open      map[string]int      // checkouts that can be paid, by customer
	Live      map[string]int      // subscriptions that are not over, by customer
	Paid      map[string][]int64  // what the invoices came to, in cents, oldest first, by customer
	Charges   map[string][]string // ids, oldest first, by customer
	Names     map[string][]string // ids of customers, by the value of each metadata
	Events    []string            // ids, oldest first
}

// Books reads them.
func (s *Sim) Books() Books {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := Books{Open: map[string]int{}, Live: map[string]int{}, Paid: map[string][]int64{}, Charges: map[string][]string{}, Names: map[string][]string{}}
	for _, x := range byAge(s.customers) {
		if x.Deleted {
			continue
		}
		b.Customers = append(b.Customers, x.ID)
		for _, v := range x.Metadata {
			b.Names[v] = append(b.Names[v], x.ID)
		}
	}
	for _, x := range s.sessions {
		if x.Status == "open" && s.now() < x.ExpiresAt {
			b.Open[x.Customer]++
		}
	}
	for _, x := range s.subscriptions {
		if !x.over() {
			b.Live[x.Customer]++
		}
	}
	for _, in := range byAge(s.invoices) {
		if in.IsPaid {
			b.Paid[in.Customer] = append([]int64{in.Total}, b.Paid[in.Customer]...)
		}
	}
	for _, x := range byAge(s.charges) {
		b.Charges[x.Customer] = append([]string{x.ID}, b.Charges[x.Customer]...)
	}
	for _, e := range s.events {
		b.Events = append(b.Events, e.ID)
	}
	return b
}
