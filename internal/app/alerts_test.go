package app

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	rulesFile   = "../../deployments/prometheus/alerts.yml"
	runbookFile = "../../deployments/runbook.md"
)

var (
	figureName = regexp.MustCompile(`\bmailsweep_\w+`)
	seriesEnd  = regexp.MustCompile(`_(bucket|count|sum)$`)
	alertName  = regexp.MustCompile(`(?m)^ +- alert: (\w+)$`)
	chapter    = regexp.MustCompile(`(?m)^## (\w+)$`)
	runbook    = regexp.MustCompile(`(?m)^ +runbook: deployments/runbook\.md#(\w+)$`)
)

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(text)
}

// first gives what a pattern's group catches, in the order of the text.
func first(pattern *regexp.Regexp, text string) (all []string) {
	for _, m := range pattern.FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}

func TestAlertsSpeakOfFiguresThatAProcessTells(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, r := range registries() {
		for _, f := range told(t, r) {
			known[f.name] = true
		}
	}
	used := figureName.FindAllString(read(t, rulesFile), -1)
	require.Greater(t, len(used), 20)
	for _, name := range used {
		require.True(t, known[name] || known[seriesEnd.ReplaceAllString(name, "")], "nobody tells %s", name)
	}
}

func TestEachAlertHasItsChapterInTheRunbook(t *testing.T) {
	t.Parallel()
	rules := read(t, rulesFile)
	alerts := first(alertName, rules)
	require.NotEmpty(t, alerts)
	require.Equal(t, alerts, first(chapter, read(t, runbookFile)), "chapters in the order of the alerts")
	var anchors []string
	for _, a := range alerts {
		anchors = append(anchors, strings.ToLower(a))
	}
	require.Equal(t, anchors, first(runbook, rules))
}
