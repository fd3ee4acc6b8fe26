// Command dev runs everything on one machine: for the first five minutes and for every day's work.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"mailsweep/internal/dev/attack"
	"mailsweep/internal/dev/bench"
	"mailsweep/internal/dev/emulate"
	"mailsweep/internal/dev/gotest"
	"mailsweep/internal/dev/trust"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(args) == 0 {
		args = []string{"help"}
	}
	switch args[0] {
	case "demo":
		return report(demo(ctx))
	case "run":
		return report(stay(ctx))
	case "google":
		return report(serveGoogle(ctx, args[1:], os.Stdout))
	case "check":
		return report(check())
	case "bench":
		part, err := strconv.ParseUint(or(os.Getenv("SEED"), "0"), 10, 16)
		if err != nil {
			return report(fmt.Errorf("SEED must be a whole number"))
		}
		return report(bench.Run(ctx, bench.Options{Dir: ".dev", Root: ".", Only: strings.Fields(strings.ReplaceAll(os.Getenv("ONLY"), ",", " ")),
			Full: os.Getenv("FULL") != "", Seed: int(part), Report: "BENCH.md"}))
	case "emulate":
		return report(emulate.Run(ctx, emulate.Options{Dir: ".dev", Root: ".", Report: "internal/sim/EMULATE.md"}))
	case "hands":
		return report(bench.Hands(ctx, args[1:]))
	case "trust":
		return trust.Run(ctx, trust.Options{Dir: ".dev", Root: ".", Only: strings.Fields(strings.ReplaceAll(os.Getenv("ONLY"), ",", " ")), Out: os.Stdout})
	case "attack":
		return attack.Run(ctx, attack.Options{Dir: ".dev", Root: ".", Only: strings.Fields(strings.ReplaceAll(os.Getenv("ONLY"), ",", " ")), Out: os.Stdout})
	case "fuzz":
		return gotest.Fuzz(ctx, gotest.FuzzOptions{Root: ".", Time: or(os.Getenv("FUZZTIME"), "30000x"), Only: strings.Fields(strings.ReplaceAll(os.Getenv("ONLY"), ",", " ")), Out: os.Stdout})
	case "test":
		return gotest.Run(ctx, gotest.Options{Dir: ".dev", Args: args[1:], Race: os.Getenv("RACE") != "", Long: long(), Out: os.Stdout})
	}
	fmt.Fprintln(os.Stderr, "usage: dev demo | run | test [go test flags] | check | fuzz | attack | trust | bench | emulate | google [-h]")
	return 2
}

// long is how many times the usual time the tests may take: with everything that can be asked for they do not fit into it.
func long() int {
	if os.Getenv("RACE") != "" || os.Getenv("FULL") != "" {
		return 3
	}
	return 1
}

func report(err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		return 1
	}
	return 0
}
