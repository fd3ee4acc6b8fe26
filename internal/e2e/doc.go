// Package e2e has the scenarios that only the built programs can show: kills, lost queues, turning months, and the whole flow as a
// customer types it.
package e2e
