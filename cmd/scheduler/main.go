// Command scheduler does what falls due and mends what got lost. Its subcommands compare the books and change nothing: quota verify,
// jobs verify, audit verify.
package main

import (
	"fmt"
	"os"
	"strings"

	"mailsweep/internal/app"
	"mailsweep/internal/config"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	if path, ok := heads(args); ok {
		return app.Main(config.Scheduler, app.VerifyAudit(path))
	}
	switch strings.Join(args, " ") {
	case "":
		return app.Main(config.Scheduler, app.RunScheduler)
	case "quota verify":
		return app.Main(config.Scheduler, app.VerifyQuota)
	case "jobs verify":
		return app.Main(config.Scheduler, app.VerifyJobs)
	}
	fmt.Fprintln(os.Stderr, "usage: scheduler [quota verify | jobs verify | audit verify [file of heads]]")
	return 2
}

// heads is the file that audit verify compares with, if any.
func heads(args []string) (path string, ok bool) {
	if len(args) < 2 || len(args) > 3 || args[0] != "audit" || args[1] != "verify" {
		return "", false
	}
	return strings.Join(args[2:], ""), true
}
