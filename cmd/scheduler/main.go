// Command scheduler does what falls due and mends what got lost. Its subcommands compare the books and change nothing: quota verify,
// jobs verify.
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
	switch strings.Join(args, " ") {
	case "":
		return app.Main(config.Scheduler, app.RunScheduler)
	case "quota verify":
		return app.Main(config.Scheduler, app.VerifyQuota)
	case "jobs verify":
		return app.Main(config.Scheduler, app.VerifyJobs)
	}
	fmt.Fprintln(os.Stderr, "usage: scheduler [quota verify | jobs verify]")
	return 2
}
