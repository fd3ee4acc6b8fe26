package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// scan gives a text's lines to take until it wants no more; else none is the error.
func scan(r io.Reader, take func(line string) bool, none error) error {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		if take(lines.Text()) {
			return nil
		}
	}
	return none
}

// poisoned is F-23: whoever takes one customer's job dies of it. It is given up with a reason, and the others' jobs go on.
func poisoned(ctx context.Context, d *drill) error {
	people, err := d.join(ctx, 2, 1500)
	if err != nil {
		return err
	}
	for range d.n {
		if err := d.poison(ctx, people[0], people[1]); err != nil {
			return err
		}
	}
	return nil
}

func (d *drill) poison(ctx context.Context, victim, other *person) error {
	c, err := victim.preview(ctx)
	if err != nil {
		return err
	}
	d.Sim.ClearFaults()
	d.slowlyOf(victim.Email, 5*time.Second) // time to strike at whoever makes the call
	if err := c.execute(ctx); err != nil {
		return err
	}
	struck := time.Now()
	deaths, slowest, err := d.die(ctx, c, other)
	if err != nil {
		return err
	}
	d.v.Strikes += deaths
	d.Sim.ClearFaults()
	if err := c.finish(ctx, 10*time.Second); err != nil || c.job.State != "failed" || c.job.Error == nil {
		d.v.lost("a job that kills its workers is %s after %d deaths: %v", c.job.State, deaths, err)
		return nil
	}
	d.v.recovered(struck)
	d.v.note("given up after %d deaths: %s; meanwhile another customer's preview took at most %s", deaths, c.job.Error.Detail, slowest.Round(10*time.Millisecond))
	return nil
}

// die kills whoever takes the job, until it is given up, and tells how long another customer's preview took meanwhile.
func (d *drill) die(ctx context.Context, c *cleanup, other *person) (deaths int, slowest time.Duration, err error) {
	for end := time.Now().Add(repeatLimit); time.Now().Before(end); pause(ctx, 100*time.Millisecond) {
		state, worker, err := d.whoHas(ctx, c)
		if err != nil || state == "failed" {
			return deaths, slowest, err
		}
		if state != "running" || worker == "" {
			continue
		}
		if err := d.kill(worker); err != nil {
			return deaths, slowest, err
		}
		deaths++
		took, err := d.timed(ctx, other)
		if err != nil {
			return deaths, slowest, err
		}
		slowest = max(slowest, took)
	}
	return deaths, slowest, nil
}

// whoHas is the state of a cleanup's job and the name of the process that has it.
func (d *drill) whoHas(ctx context.Context, c *cleanup) (state, name string, err error) {
	var pid string
	err = d.judge.QueryRow(ctx, `SELECT state, split_part(worker, '/', 2) FROM jobs WHERE id = $1::uuid`, hexOf(c.job.ID)).Scan(&state, &pid)
	if err != nil {
		return "", "", fmt.Errorf("ask who has the job: %w", err)
	}
	for _, n := range d.all("worker") {
		if strconv.Itoa(d.Children[n].Pid()) == pid {
			name = n
		}
	}
	return state, name, nil
}

// timed is how long a preview takes.
func (d *drill) timed(ctx context.Context, p *person) (time.Duration, error) {
	begun := time.Now()
	_, err := p.preview(ctx)
	return time.Since(begun), err
}

// bigMailbox is F-24: a worker with little memory and a mailbox of 200,000 messages.
func bigMailbox(ctx context.Context, d *drill) error {
	messages := 25_000
	if d.full {
		messages = 200_000
	}
	people, err := d.join(ctx, 1, messages)
	if err != nil {
		return err
	}
	for range d.n {
		cs, err := previews(ctx, people)
		if err != nil {
			return err
		}
		if err := cs[0].execute(ctx); err != nil {
			return err
		}
		d.v.Strikes++
		if err := d.conclude(ctx, cs); err != nil {
			return err
		}
	}
	for _, name := range d.all("worker") {
		peak, err := d.peak(name)
		if err != nil {
			return err
		}
		d.v.note("%s: at most %d MiB with %d messages", name, peak>>20, messages)
		if peak > 200<<20 {
			d.v.wrong("%s took %d MiB; it may take 200", name, peak>>20)
		}
	}
	return nil
}

// peak is the most memory that a process ever held, in bytes.
func (d *drill) peak(name string) (bytes int, err error) {
	f, err := os.Open(filepath.Join("/proc", strconv.Itoa(d.Children[name].Pid()), "status"))
	if err != nil {
		return 0, fmt.Errorf("read memory of %s: %w", name, err)
	}
	defer f.Close()
	return bytes, scan(f, func(line string) bool {
		_, is := fmt.Sscanf(line, "VmHWM: %d kB", &bytes)
		bytes *= 1024
		return is == nil
	}, fmt.Errorf("the kernel does not tell the memory of %s", name))
}

// blocked is F-25: nobody reads the programs' logs, then their disk is full. They go on.
func blocked(ctx context.Context, d *drill) error {
	people, err := d.join(ctx, 2, 2000)
	if err != nil {
		return err
	}
	for i := range d.n {
		undo, err := d.muffle(ctx, i%2 == 1)
		if err != nil {
			return err
		}
		d.v.Strikes++
		mark := d.calls.mark()
		for i := 0; i < 400 && err == nil; i++ {
			err = people[i%2].do(ctx, "GET", "/api/v1/jobs?limit=5", "", nil, new(any))
		}
		if err == nil {
			err = d.round(ctx, people, func([]*cleanup) error { return nil })
			d.v.Strikes--
		}
		if err != nil {
			d.v.lost("with a log that nobody reads: %s", err)
		}
		d.v.note("%s", d.calls.since(mark))
		if err := undo(); err != nil {
			return err
		}
	}
	return nil
}

// muffle restarts every process with a log that is a pipe nobody reads, or a full disk; undo gives them files again.
func (d *drill) muffle(ctx context.Context, full bool) (undo func() error, err error) {
	var ends []*os.File
	again := func(prepare func(log string) error) error {
		for _, name := range d.names() {
			d.Children[name].Kill()
			log := filepath.Join(d.logs, name+".log")
			if err := os.Remove(log); err != nil {
				return fmt.Errorf("remove a log: %w", err)
			}
			if err := prepare(log); err != nil {
				return err
			}
			if err := d.spawn(name); err != nil {
				return err
			}
		}
		return d.up(ctx)
	}
	undo = func() error {
		err := again(func(string) error { return nil })
		for _, f := range ends {
			f.Close()
		}
		return err
	}
	return undo, again(func(log string) error {
		if full {
			return os.Symlink("/dev/full", log)
		}
		if err := syscall.Mkfifo(log, 0o644); err != nil {
			return fmt.Errorf("make a pipe: %w", err)
		}
		end, err := os.OpenFile(log, os.O_RDWR, 0)
		ends = append(ends, end)
		return err
	})
}
