// Command worker does the jobs: it opens mailboxes and sends mail. Its subcommand gmail-probe finds out, in a mailbox of the operator's own,
// what Google does not say about Gmail.
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
		return app.Main(config.Worker, app.RunWorker)
	case "gmail-probe":
		return app.Main(config.Worker, app.ProbeGmail)
	}
	fmt.Fprintln(os.Stderr, "usage: worker [gmail-probe]")
	return 2
}
