package store

// Allowlist is the customer's, prefixes joined by commas; "" when there is none.
func (tx *Tx) Allowlist() (joined string, err error) {
	err = tx.Raw("SELECT ip_allowlist FROM customers WHERE id = ?", dbID(tx.Customer)).Row().Scan(&joined)
	return joined, doing(err, "read allowlist")
}

// PutAllowlist replaces it.
func (tx *Tx) PutAllowlist(joined string) error {
	return doing(tx.Exec("UPDATE customers SET ip_allowlist = ? WHERE id = ?", joined, dbID(tx.Customer)).Error, "replace allowlist")
}
