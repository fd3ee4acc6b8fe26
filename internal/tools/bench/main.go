// Command peers runs what our figures are compared with: a bare Echo handler, asynq alone and River. It is a module of its own, so that
// the product does not depend on them. Each command prints its result on standard output.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/labstack/echo/v4"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string) error {
	if len(args) == 1 && args[0] == "echo" {
		return bare()
	}
	if len(args) != 4 {
		return fmt.Errorf("usage: peers echo | asynq|river URL drain|start|insert N")
	}
	n, err := strconv.Atoi(args[3])
	if err != nil {
		return fmt.Errorf("read N: %w", err)
	}
	q, err := open(ctx, args[0], args[1])
	if err != nil {
		return err
	}
	defer q.close()
	var out result
	switch args[2] {
	case "drain":
		out, err = drain(ctx, q, n)
	case "start":
		out, err = starts(ctx, q, n)
	case "insert":
		out, err = inserts(ctx, q, n)
	default:
		err = fmt.Errorf("there is no measurement %q", args[2])
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", args[0], args[2], err)
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

// bare answers one GET with about as much JSON as a job, and prints its address.
func bare() error {
	e := echo.New()
	e.GET("/", func(c echo.Context) error {
		return c.JSON(http.StatusOK, map[string]any{"id": "job_01890000000070008000000000000000", "kind": "execute", "state": "queued", "phase": "queued",
			"mailbox_id": "mbx_01890000000070008000000000000000", "progress": map[string]any{"done": 0, "total": 0, "percent": 0}})
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	fmt.Println(l.Addr())
	return http.Serve(l, e)
}
