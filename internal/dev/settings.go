package main

import (
	"fmt"
	"os"
	"strconv"
)

// settings are what a person can say on the command line of make demo.
type settings struct {
	Once      bool
	Mbox      string
	Messages  int
	Report    string
	Criteria  string
	Action    string
	TimeScale float64
	Seed      uint64
}

func readSettings() (s settings, err error) {
	s = settings{Mbox: os.Getenv("MBOX"), Report: os.Getenv("REPORT"), Criteria: os.Getenv("CRITERIA"), Action: os.Getenv("ACTION")}
	once := os.Getenv("ONCE")
	s.Once = once != "" && once != "0"
	if s.Messages, err = strconv.Atoi(or(os.Getenv("MESSAGES"), "30000")); err != nil || s.Messages < 1 || s.Messages > 2_000_000 {
		return s, fmt.Errorf("MESSAGES must be a number from 1 to 2000000")
	}
	if s.TimeScale, err = strconv.ParseFloat(or(os.Getenv("TIMESCALE"), "60"), 64); err != nil || s.TimeScale < 1 || s.TimeScale > 1000 {
		return s, fmt.Errorf("TIMESCALE must be a number from 1 to 1000")
	}
	if s.Seed, err = strconv.ParseUint(or(os.Getenv("SEED"), "1"), 10, 64); err != nil {
		return s, fmt.Errorf("SEED must be a whole number")
	}
	return s, nil
}

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}
