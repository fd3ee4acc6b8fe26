// Package mailindex is what we know of a mailbox: which messages it holds, in which sets Gmail listed them and who sent them, with
// the set algebra that counts, selects and protects, and its storable form. It is pure: no I/O and no clock.
package mailindex
