// Command scheduler does what falls due and mends what got lost. stripe-setup makes or mends what our account at Stripe needs. The other subcommands compare
// the books and change nothing: quota verify, jobs verify, audit verify; figures tells how a month went.
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
	if len(args) > 0 && args[0] == "figures" {
		return figures(args[1:])
	}
	switch strings.Join(args, " ") {
	case "":
		return app.Main(config.Scheduler, app.RunScheduler)
	case "quota verify":
		return app.Main(config.Scheduler, app.VerifyQuota)
	case "stripe-setup":
		return app.Main(config.Scheduler, app.StripeSetup)
	case "jobs verify":
		return app.Main(config.Scheduler, app.VerifyJobs)
	}
	fmt.Fprintln(os.Stderr, "usage: scheduler [stripe-setup | quota verify | jobs verify | audit verify [file of heads] | "+app.FiguresUsage+"]")
	return 2
}

// figures prints how a month went.
func figures(args []string) int {
	show, err := app.Figures(args, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	return app.Main(config.Scheduler, show)
}

// heads is the file that audit verify compares with, if any.
func heads(args []string) (path string, ok bool) {
	if len(args) < 2 || len(args) > 3 || args[0] != "audit" || args[1] != "verify" {
		return "", false
	}
	return strings.Join(args[2:], ""), true
}
