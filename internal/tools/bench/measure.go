package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"
)

// slots are the handlers at once of every drain: more do not help either peer on two cores.
const slots = 50

// result of one measurement. CPU is this process's, the server's not counted.
type result struct {
	Jobs    int
	Seconds float64
	CPU     float64
	P50     time.Duration
	P99     time.Duration
}

// queue is a peer: body is called for each job by its workers, from work on.
type queue interface {
	insert(ctx context.Context, n int) error // n jobs, as fast as the peer offers
	one(ctx context.Context) error
	work(ctx context.Context, body func()) error
	close()
}

func open(ctx context.Context, peer, url string) (queue, error) {
	if peer == "asynq" {
		return newAsynq(url)
	}
	return newRiver(ctx, url)
}

// drain fills the queue, then measures its workers at an empty body.
func drain(ctx context.Context, q queue, n int) (result, error) {
	if err := q.insert(ctx, n); err != nil {
		return result{}, err
	}
	done := make(chan struct{}, n)
	began, before := time.Now(), cpu()
	if err := q.work(ctx, func() { done <- struct{}{} }); err != nil {
		return result{}, err
	}
	for range n {
		select {
		case <-done:
		case <-time.After(time.Minute):
			return result{}, fmt.Errorf("the workers stand still")
		}
	}
	return result{Jobs: n, Seconds: time.Since(began).Seconds(), CPU: cpu() - before}, nil
}

// starts measures from the insert to the body, one job at a time with a rest between.
func starts(ctx context.Context, q queue, n int) (result, error) {
	done := make(chan struct{}, n)
	if err := q.work(ctx, func() { done <- struct{}{} }); err != nil {
		return result{}, err
	}
	var took []time.Duration
	for i := range n {
		began := time.Now()
		if err := q.one(ctx); err != nil {
			return result{}, err
		}
		select {
		case <-done:
			took = append(took, time.Since(began))
		case <-time.After(time.Minute):
			return result{}, fmt.Errorf("the job does not start")
		}
		time.Sleep(time.Duration(5+i%13) * time.Millisecond) // so that starts fall anywhere between two looks
	}
	slices.Sort(took)
	return result{Jobs: n, P50: took[n/2], P99: took[min(n-1, n*99/100)]}, nil
}

// inserts measures single inserts over 8 connections for n seconds.
func inserts(ctx context.Context, q queue, n int) (result, error) {
	var mu sync.Mutex
	var took []time.Duration
	var failed error
	began := time.Now()
	end := began.Add(time.Duration(n) * time.Second)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			var mine []time.Duration
			var err error
			for err == nil && time.Now().Before(end) {
				at := time.Now()
				err = q.one(ctx)
				mine = append(mine, time.Since(at))
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, mine...)
			if err != nil {
				failed = err
			}
		})
	}
	all.Wait()
	if failed != nil {
		return result{}, failed
	}
	slices.Sort(took)
	return result{Jobs: len(took), Seconds: time.Since(began).Seconds(), P50: took[len(took)/2], P99: took[len(took)*99/100]}, nil
}

func cpu() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}
