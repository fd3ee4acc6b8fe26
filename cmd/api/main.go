// Command api serves the HTTP API. Its subcommands prepare what it needs: migrate, keys, openapi; ops is for operators.
package main

import (
	"fmt"
	"os"

	"mailsweep/internal/app"
	"mailsweep/internal/config"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	if len(args) == 0 {
		return app.Main(config.API, app.RunAPI)
	}
	switch args[0] {
	case "migrate":
		return app.Main(config.Migrate, app.Migrate)
	case "keys":
		return app.Main(config.Dev, app.PrintKeys(os.Stdout))
	case "openapi":
		os.Stdout.Write(app.Spec())
		return 0
	case "ops":
		if len(args) > 1 && args[1] != "help" {
			return app.Main(config.API, app.Operate(args[1:], os.Stdout))
		}
		fmt.Print(app.OperateUsage)
		return 0
	}
	fmt.Fprintln(os.Stderr, "usage: api [migrate | keys | openapi | ops]")
	return 2
}
