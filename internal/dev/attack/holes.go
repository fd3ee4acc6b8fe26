package attack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

const (
	holesMod = "-modfile=internal/tools/holes/go.mod"
	database = "golang.org/x/vulndb" // of Go's security team, which the module proxy has too: its files are what vuln.go.dev serves
)

// excused are holes that the database sees called, for it knows no function of theirs; each with why it is none here.
var excused = map[string]string{
	"GO-2026-6872": "echo's RealIP believes headers only where no IPExtractor is set: ours is set and believes TRUSTED_PROXIES alone",
	"GO-2026-6875": "of echo's reverse proxy, static files, JSONP and Scheme, which are not used",
}

// govulncheck asks the newest database which holes are known of what the services call, built by the Go that releases are built with.
func govulncheck(ctx context.Context, r *ground) (tried string, found []string, err error) {
	toolchain, err := releaseGo(r.Root)
	if err != nil {
		return "", nil, err
	}
	return r.knownHoles(ctx, database+"@latest", toolchain)
}

var baseImage = regexp.MustCompile(`(?m)^FROM golang:(\d+\.\d+\.\d+)-`)

// releaseGo names the toolchain that deployments/Dockerfile builds with.
func releaseGo(root string) (string, error) {
	text, err := os.ReadFile(filepath.Join(root, "deployments", "Dockerfile"))
	if err != nil {
		return "", fmt.Errorf("look for the Go of releases: %w", err)
	}
	version := baseImage.FindSubmatch(text)
	if version == nil {
		return "", errors.New("deployments/Dockerfile builds with no Go that is named to the patch")
	}
	return "go" + string(version[1]), nil
}

// knownHoles looks for calls from the services, built with a toolchain, into what a version of the database lists: in Go's own library and in modules.
func (r *ground) knownHoles(ctx context.Context, version, toolchain string) (tried string, found []string, err error) {
	said, code, err := r.answer(ctx, "vulndb.json", "go", "mod", "download", holesMod, "-json", version)
	var module struct{ Version, Dir string }
	if err == nil && code == 0 {
		err = json.Unmarshal([]byte(said), &module)
	}
	if err != nil || code != 0 {
		return "", nil, fmt.Errorf("fetch %s (exit code %d): %w: %s", version, code, err, said)
	}
	at := url.URL{Scheme: "file", Path: filepath.ToSlash(filepath.Join(module.Dir, "data", "osv"))}
	said, code, err = r.answer(ctx, "govulncheck.json", "env", "GOTOOLCHAIN="+toolchain, "go", "tool", holesMod, "govulncheck", "-format", "json", "-db", at.String(), "./cmd/...")
	if err != nil || code != 0 {
		return "", nil, fmt.Errorf("exit code %d: %w: %s", code, err, said)
	}
	listed, found, err := called([]byte(said))
	return fmt.Sprintf("%d holes of what is linked, %s, database %s", listed, toolchain, module.Version), found, err
}

// called reads what govulncheck says: how many holes it knows of the modules that are linked, and a line with a call for each that is called.
func called(said []byte) (listed int, found []string, err error) {
	seen := map[string]bool{}
	for d := json.NewDecoder(bytes.NewReader(said)); ; {
		var message struct {
			OSV     json.RawMessage `json:"osv"`
			Finding *struct {
				OSV   string `json:"osv"`
				Fixed string `json:"fixed_version"`
				Trace []struct{ Module, Version, Package, Function string }
			} `json:"finding"`
		}
		if err := d.Decode(&message); errors.Is(err, io.EOF) {
			return listed, found, nil
		} else if err != nil {
			return listed, found, fmt.Errorf("read what govulncheck says: %w", err)
		}
		if message.OSV != nil {
			listed++
		}
		if f := message.Finding; f != nil && len(f.Trace) > 0 && f.Trace[0].Function != "" && excused[f.OSV] == "" && !seen[f.OSV] {
			hole := f.Trace[0]
			seen[f.OSV] = true
			found = append(found, strings.TrimSpace(fmt.Sprintf("%s: %s.%s of %s %s, mended in %s", f.OSV, hole.Package, hole.Function, hole.Module, hole.Version, f.Fixed)))
		}
	}
}
