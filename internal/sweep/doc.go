// Package sweep is the business of Mailsweep in pure Go: plans, quota, periods, trials, jobs, criteria, protections and errors.
// It knows no database, no network and no clock: whatever varies is handed in.
package sweep
