package app

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/testkit"
)

const (
	rulesFile     = "../../deployments/prometheus/alerts.yml"
	ruleTestsFile = "../../deployments/prometheus/alerts_test.yml"
	runbookFile   = "../../deployments/runbook.md"
)

var (
	figureName = regexp.MustCompile(`\bmailsweep_\w+`)
	seriesEnd  = regexp.MustCompile(`_(bucket|count|sum)$`)
	alertName  = regexp.MustCompile(`(?m)^ +- alert: (\w+)$`)
	chapter    = regexp.MustCompile(`(?m)^## (\w+)$`)
	runbook    = regexp.MustCompile(`(?m)^ +runbook: deployments/runbook\.md#(\w+)$`)
	fires      = regexp.MustCompile(`(?m)^ +alertname: (\w+)\n +exp_alerts: ?[&*\w]*$`)
	silent     = regexp.MustCompile(`(?m)^ +- \{eval_time: \w+, alertname: (\w+)\}$`)
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
	used := figureName.FindAllString(read(t, rulesFile)+read(t, ruleTestsFile), -1)
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

func TestEachAlertIsTestedFiringAndSilent(t *testing.T) {
	t.Parallel()
	alerts, tests := first(alertName, read(t, rulesFile)), read(t, ruleTestsFile)
	require.NotEmpty(t, alerts)
	require.Equal(t, alerts, slices.Compact(first(fires, tests)), "tests in the order of the alerts, each with a time at which it fires")
	require.Equal(t, alerts, slices.Compact(first(silent, tests)), "and one at which it does not")
}

func TestEachAlertFiresWhenItShouldAndNotBefore(t *testing.T) {
	t.Parallel()
	promtool := testkit.Promtool(t)
	for _, args := range [][]string{{"check", "rules", rulesFile}, {"test", "rules", ruleTestsFile}} {
		out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput()
		require.NoError(t, err, "promtool %s:\n%s", strings.Join(args, " "), out)
	}
}
