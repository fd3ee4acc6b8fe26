// Package gmail shows one Gmail account as a mailbox: consent, listing, reading headers, changing labels, history; within Google's limits.
package gmail
