package queue

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Each line has a mark in Redis that names the run of the server which holds the line. A mark that is gone, or names another run, says
// that this server was emptied, restarted or took over from another: what it does not have is lost. Marks lie where their line
// lies, so that each master of a cluster is watched for itself.
func markOf(line string) string { return "mailsweep:mark:{" + line + "}" }

// runScript tells the run of the server that has the mark, and whether the mark names it. A user who may not ask for the run is told
// of a flush at least.
var runScript = redis.NewScript(`
local info = redis.pcall("INFO", "server")
local run = type(info) == "string" and string.match(info, "run_id:(%w+)") or "untold"
return {run, redis.call("GET", KEYS[1]) == run and "same" or "fresh"}`)

// unmarked gives the lines whose server has changed since they were marked, with its present run.
func unmarked(ctx context.Context, c redis.UniversalClient) (map[string]string, error) {
	fresh := map[string]string{}
	for _, line := range lines() {
		got, err := runScript.Run(ctx, c, []string{markOf(line)}).StringSlice()
		if err != nil {
			return nil, fmt.Errorf("read the mark of %s: %w", line, err)
		}
		if got[1] != "same" {
			fresh[line] = got[0]
		}
	}
	return fresh, nil
}

// mark is for after everything was asked about.
func mark(ctx context.Context, c redis.UniversalClient, runs map[string]string) error {
	for line, run := range runs {
		if err := c.Set(ctx, markOf(line), run, 0).Err(); err != nil {
			return fmt.Errorf("mark %s: %w", line, err)
		}
	}
	return nil
}
