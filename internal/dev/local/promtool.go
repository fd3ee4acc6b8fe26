package local

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
)

// Promtool is the path of Prometheus's tool that checks and tests rules. Where it is missing Debian's package is unpacked, for
// root too: installing it would start a server.
func Promtool(ctx context.Context, o Options) (path string, err error) {
	o, err = o.absolute()
	if err != nil {
		return "", err
	}
	if path := o.findPromtool(); path != "" {
		return path, nil
	}
	unlock, err := o.lockInstall(ctx)
	if err != nil {
		return "", err
	}
	defer unlock()
	if path := o.findPromtool(); path != "" { // another process may have unpacked it meanwhile
		return path, nil
	}
	if err := o.unpack(ctx, "prometheus"); err != nil { // promtool is in it, or since Debian 13 in one that it asks for
		return "", fmt.Errorf("promtool is missing and could not be unpacked: %w", err)
	}
	if path = o.findPromtool(); path == "" {
		return "", errors.New("promtool was unpacked, but cannot be run")
	}
	return path, nil
}

// findPromtool is "" where there is none that runs.
func (o Options) findPromtool() string {
	dirs := []string{filepath.Join(o.unpackedRoot("prometheus"), "usr/bin")}
	if path, err := exec.LookPath("promtool"); err == nil {
		dirs = append([]string{filepath.Dir(path)}, dirs...)
	}
	for _, dir := range dirs {
		if p := probe("promtool", dir, nil); p != nil {
			return filepath.Join(p.dir, p.name)
		}
	}
	return ""
}
