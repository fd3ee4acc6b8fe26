// Package migrations is the database schema as numbered SQL, embedded into every binary that checks or applies it.
package migrations

import "embed"

// SQL holds the numbered goose migrations.
//
//go:embed *.sql
var SQL embed.FS

// Roles is run by the bootstrap login before the numbered migrations, every time: it creates the cluster-wide roles that are
// missing and hands the database's schemas to them. It is idempotent.
//
//go:embed roles/roles.sql
var Roles string
