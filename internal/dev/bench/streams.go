package bench

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"time"

	"mailsweep/internal/sweep"
)

const (
	openStreams    = 10_000
	streamsWatched = 20 * time.Second // longer than a stream waits before it reads its job again by itself
)

// streams measures the API's resident memory with 10,000 open SSE streams, after one event has reached each.
func streams(ctx context.Context, b *bench) ([]line, error) {
	r, err := b.start(ctx, "api")
	if err != nil {
		return nil, err
	}
	defer r.stop()
	people, err := r.people(ctx, 400) // 25 streams each
	if err != nil {
		return nil, err
	}
	if err := r.fill(ctx, backlog{kind: sweep.DryRun, each: 1, state: sweep.Queued}); err != nil {
		return nil, err
	}
	ids, err := r.jobsOf(ctx)
	if err != nil {
		return nil, err
	}
	idle, err := memoryOf(r.Children["api"].Pid(), resident)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	for n := range openStreams {
		p := people[n%len(people)]
		conn, err := follow(addr(r.API), p.token, ids[p.customer.String()])
		if err != nil {
			return nil, fmt.Errorf("open stream %d: %w", n, err)
		}
		defer conn.Close() //nolint:gocritic // all stay open to the end
	}
	took := time.Since(began)
	full, err := r.mostResident("api", streamsWatched)
	if err != nil {
		return nil, err
	}
	return []line{goal(line{what: fmt.Sprintf("%d open SSE streams on one API process", openStreams), ours: fmt.Sprintf("%d MiB resident at most, opened in %.1f s", full>>20, took.Seconds()),
		limit: fmt.Sprintf("%d MiB without a stream", idle>>20), ratio: fmt.Sprintf("%.1f KiB a stream", float64(full-idle)/openStreams/1024), goal: "≤ 512 MiB"}, full <= 512<<20)}, nil
}

// mostResident watches a child's resident memory for d, in bytes.
func (r *rig) mostResident(child string, d time.Duration) (most int64, err error) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(250 * time.Millisecond) {
		now, err := memoryOf(r.Children[child].Pid(), resident)
		if err != nil {
			return most, err
		}
		most = max(most, now)
	}
	return most, nil
}

// follow opens a stream and reads its first event.
func follow(addr, token, job string) (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if _, err := conn.Write(request("GET", "/api/v1/jobs/"+job+"/events", token, "", "Accept", "text/event-stream")); err != nil {
		conn.Close()
		return nil, fmt.Errorf("send: %w", err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second)) // fails only on a closed connection, as the next read does
	var got []byte
	for part := make([]byte, 2048); !bytes.Contains(got, []byte("data:")); {
		n, err := conn.Read(part)
		if err != nil {
			conn.Close()
			return nil, fmt.Errorf("read the first event: %w, after %q", err, got)
		}
		got = append(got, part[:n]...)
	}
	return conn, nil
}

// jobsOf gives one job of each customer, as callers name it.
func (r *rig) jobsOf(ctx context.Context) (map[string]string, error) {
	rows, err := r.root.Query(ctx, "SELECT customer_id::text, id::text FROM jobs")
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	defer rows.Close()
	ids := map[string]string{}
	for rows.Next() {
		var customer, job string
		if err := rows.Scan(&customer, &job); err != nil {
			return nil, fmt.Errorf("list jobs: %w", err)
		}
		id, err := sweep.ParseUUID(job)
		if err != nil {
			return nil, err
		}
		ids[customer] = sweep.JobID.Show(id)
	}
	return ids, rows.Err()
}
