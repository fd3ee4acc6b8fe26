// Command worker does the jobs: it opens mailboxes and sends mail. Its subcommand gmail-probe finds out, in a mailbox of the operator's own,
// what Google does not say about Gmail; keys rotates the keysets.
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
	if len(args) > 1 && args[0] == "keys" {
		return app.Main(config.Worker, app.ChangeKeys(args[1:], os.Stdout))
	}
	fmt.Fprintln(os.Stderr, "usage: worker [gmail-probe | "+app.KeysUsage+"]")
	return 2
}
