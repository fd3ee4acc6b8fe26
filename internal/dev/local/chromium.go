package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Browser is a Chromium that runs, with the environment that it needs beside the usual one.
type Browser struct {
	Path string
	Env  []string
}

// Chromium finds Debian's browser, after installing what is missing; a plain user gets it unpacked.
func Chromium(ctx context.Context, o Options) (b Browser, err error) {
	if o, err = o.absolute(); err != nil {
		return b, err
	}
	if b, ok := o.findChromium(ctx); ok {
		return b, nil
	}
	unlock, err := o.lockInstall(ctx)
	if err != nil {
		return b, err
	}
	defer unlock()
	if b, ok := o.findChromium(ctx); ok { // another process may have installed it meanwhile
		return b, nil
	}
	if err := o.install(ctx, []string{"chromium"}); err != nil {
		return b, fmt.Errorf("chromium is missing and was not installed: %w", err)
	}
	b, ok := o.findChromium(ctx)
	if !ok {
		err = errors.New("chromium was installed, but cannot be run")
	}
	return b, err
}

func (o Options) findChromium(ctx context.Context) (Browser, bool) {
	root := o.unpackedRoot("chromium")
	unpacked := Browser{Path: filepath.Join(root, "usr/lib/chromium/chromium"), Env: []string{
		"LD_LIBRARY_PATH=" + strings.Join(libraries(root), ":"), "FONTCONFIG_FILE=" + filepath.Join(root, "fonts.conf")}}
	for _, b := range []Browser{{Path: "/usr/bin/chromium"}, unpacked} {
		if b.runs(ctx) && b.letters(root) == nil {
			return b, true
		}
	}
	return Browser{}, false
}

func (b Browser) runs(ctx context.Context) bool {
	if !executable(b.Path) {
		return false
	}
	cmd := exec.CommandContext(ctx, b.Path, "--version")
	cmd.Env = append(os.Environ(), b.Env...)
	out, err := cmd.Output()
	return err == nil && strings.Contains(string(out), "Chromium")
}

// letters tells an unpacked browser where the unpacked fonts are: the package's own file names folders of an installed one.
func (b Browser) letters(root string) error {
	if len(b.Env) == 0 {
		return nil
	}
	text := fmt.Sprintf("<?xml version=\"1.0\"?><!DOCTYPE fontconfig SYSTEM \"fonts.dtd\"><fontconfig><dir>%s</dir><dir>/usr/share/fonts</dir><cachedir>%s</cachedir></fontconfig>\n",
		filepath.Join(root, "usr/share/fonts"), filepath.Join(root, "fonts.cache"))
	return os.WriteFile(filepath.Join(root, "fonts.conf"), []byte(text), 0o644)
}
