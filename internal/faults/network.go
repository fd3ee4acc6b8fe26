package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// badNetwork is F-12: each way to a database, to Redis and to Gmail is slow, breaks and swallows in turn. Afterwards no process holds more
// goroutines or files than before.
func badNetwork(ctx context.Context, d *drill) error {
	lasts := 6 * time.Second
	if d.full {
		lasts = 150 * time.Second
	}
	people, err := d.join(ctx, 3, 3000)
	if err != nil {
		return err
	}
	if err := d.round(ctx, people, func([]*cleanup) error { return nil }); err != nil { // warm
		return err
	}
	d.v.Strikes = 0
	before, err := d.vitals(ctx)
	if err != nil {
		return err
	}
	kinds := d.weather.kinds()
	n := d.rng.IntN(len(kinds))
	for range d.n {
		kind := kinds[n%len(kinds)]
		n++
		err := d.round(ctx, people, func(cs []*cleanup) error {
			var back time.Time
			return d.during(ctx, cs, func() error {
				err := d.badly(ctx, lasts, kind)
				back = time.Now()
				return err
			}, func() error { return d.readyAgain(ctx, back) })
		})
		if err != nil {
			return err
		}
	}
	return d.asBefore(ctx, before)
}

// vital is what a process holds.
type vital struct{ goroutines, files int }

func (d *drill) vitals(ctx context.Context) (map[string]vital, error) {
	all := map[string]vital{}
	for _, name := range d.names() {
		goroutines, err := d.figure(ctx, name, "go_goroutines")
		if err != nil {
			return nil, err
		}
		files, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(d.Children[name].Pid()), "fd"))
		if err != nil {
			return nil, fmt.Errorf("count files of %s: %w", name, err)
		}
		all[name] = vital{int(goroutines), len(files)}
	}
	return all, nil
}

// figure reads one metric of a process that has no labels.
func (d *drill) figure(ctx context.Context, name, metric string) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.settings[name]["OPS_ADDR"]+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, fmt.Errorf("read metrics of %s: %w", name, err)
	}
	defer resp.Body.Close()
	var value float64
	return value, scan(resp.Body, func(line string) bool {
		rest, is := strings.CutPrefix(line, metric+" ")
		if is {
			value, err = strconv.ParseFloat(rest, 64)
		}
		return is && err == nil
	}, errors.New("there is no metric "+metric))
}

// asBefore waits until every process holds what it held before, with 5 % and a few connections to spare.
func (d *drill) asBefore(ctx context.Context, before map[string]vital) error {
	var worst string
	err := until(ctx, 90*time.Second, "goroutines and files are as before", func() bool {
		now, err := d.vitals(ctx)
		if err != nil {
			worst = err.Error()
			return false
		}
		for name, was := range before {
			if is := now[name]; is.goroutines > was.goroutines*105/100+8 || is.files > was.files*105/100+8 {
				worst = fmt.Sprintf("%s: %d goroutines and %d files before, %d and %d now", name, was.goroutines, was.files, is.goroutines, is.files)
				return false
			}
		}
		return true
	})
	if err != nil {
		d.v.wrong("%s: %s", err, worst)
	}
	return ctx.Err()
}
