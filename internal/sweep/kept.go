package sweep

// Kept says what one table holds of customers, in their words, and for how long. Long is empty for what stays as long as the account.
type Kept struct{ Table, Topic, What, Long string }
