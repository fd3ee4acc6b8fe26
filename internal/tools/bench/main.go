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
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
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
	if len(args) == 2 && args[0] == "job" {
		return job(ctx, args[1])
	}
	if len(args) != 4 {
		return fmt.Errorf("usage: peers echo | job URL | asynq|river URL drain|start|insert N")
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
	return serve(e)
}

// job reads one job by its id, as our handler does, for whoever asks: without a token, a limit, a tenant.
func job(ctx context.Context, database string) error {
	pool, err := pgxpool.New(ctx, database)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer pool.Close()
	e := echo.New()
	e.GET("/:id", func(c echo.Context) error {
		var j struct {
			ID        string     `json:"id"`
			Kind      string     `json:"kind"`
			State     string     `json:"state"`
			Phase     string     `json:"phase"`
			Done      int        `json:"done"`
			Total     int        `json:"total"`
			Mailbox   *string    `json:"mailbox_id"`
			CreatedAt time.Time  `json:"created_at"`
			StartedAt *time.Time `json:"started_at"`
		}
		err := pool.QueryRow(c.Request().Context(), "SELECT id::text, kind, state, phase, done, total, mailbox_id::text, created_at, started_at FROM jobs WHERE id = $1", c.Param("id")).
			Scan(&j.ID, &j.Kind, &j.State, &j.Phase, &j.Done, &j.Total, &j.Mailbox, &j.CreatedAt, &j.StartedAt)
		if err != nil {
			return err
		}
		return c.JSON(http.StatusOK, j)
	})
	return serve(e)
}

func serve(e *echo.Echo) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	fmt.Println(l.Addr())
	return http.Serve(l, e)
}
