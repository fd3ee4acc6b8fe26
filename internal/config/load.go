package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"
	"github.com/joho/godotenv"
)

// Load reads the settings of one process from the environment. Everything that is wrong is told in one error, by name
// and without any secret's value; settings that the process has no business with come back empty.
func Load(process string) (Config, error) {
	environ := map[string]string{}
	for _, pair := range os.Environ() {
		name, value, _ := strings.Cut(pair, "=")
		environ[name] = value
	}
	return load(process, environ)
}

// ReadDotEnv sets variables from a file for those that are not set yet; a missing file is fine. For development.
func ReadDotEnv(path string) error {
	err := godotenv.Load(path)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("read %s: it is not a list of NAME=value lines", path)
}

func load(process string, environ map[string]string) (Config, error) {
	if !slices.Contains([]string{API, Worker, Scheduler, Migrate, Dev}, process) {
		return Config{}, fmt.Errorf("no settings are known for a process called %q", process)
	}
	c, problems := parse(environ)
	c.Process = process
	c.keepOwn(problems)
	c.normalize()
	c.check(problems)
	if err := problems.err(); err != nil {
		return Config{}, fmt.Errorf("settings of %s: %w", process, err)
	}
	return c, nil
}

// parse reads each variable by itself, so that a mistake can be told by the variable's name. Empty counts as not set.
func parse(environ map[string]string) (Config, *problems) {
	given := map[string]string{}
	for _, f := range Fields() {
		if v := strings.TrimSpace(environ[f.Name]); v != "" {
			given[f.Name] = v
		}
	}
	var c Config
	found := &problems{}
	if err := env.ParseWithOptions(&c, env.Options{Environment: given}); err != nil {
		for name, value := range given {
			found.add(name, reason(env.ParseWithOptions(&Config{}, env.Options{Environment: map[string]string{name: value}})))
		}
	}
	return c, found
}

// reason is the innermost cause: the wrappers speak of Go types.
func reason(err error) string {
	if err == nil {
		return ""
	}
	var parse env.ParseError
	if errors.As(err, &parse) && parse.Err != nil {
		return parse.Err.Error()
	}
	return err.Error()
}

// keepOwn empties what this process may not know and reports what it needs and lacks. The key that opens Gmail tokens
// is refused outright in production: its presence elsewhere means that the deployment hands secrets around.
func (c *Config) keepOwn(found *problems) {
	if c.Process == Dev {
		return
	}
	for _, f := range Fields() {
		value := reflect.ValueOf(c).Elem().FieldByIndex(f.index)
		if f.only != nil && !slices.Contains(f.only, c.Process) {
			if f.Name == "TOKEN_KEYSET_PRIVATE" && c.Env.IsProduction() && !value.IsZero() {
				found.add(f.Name, "must not be given to this process")
			}
			value.SetZero()
		}
		if slices.Contains(f.Need, c.Process) && value.IsZero() {
			found.add(f.Name, "is required")
		}
	}
}

func (c *Config) normalize() {
	c.HTTP.PublicURL = strings.TrimRight(c.HTTP.PublicURL, "/")
	if c.Log.Format == "" {
		c.Log.Format = "text"
		if c.Env.IsProduction() {
			c.Log.Format = "json"
		}
	}
	if c.Mail.TLS == "" {
		c.Mail.TLS = "starttls"
		if isLoopback(c.Mail.Addr) {
			c.Mail.TLS = "none"
		}
	}
}

// problems collects at most one complaint per setting, in the order of the settings.
type problems struct{ by map[string]string }

func (p *problems) add(name, what string) {
	if what == "" {
		return
	}
	if p.by == nil {
		p.by = map[string]string{}
	}
	if _, told := p.by[name]; !told {
		p.by[name] = what
	}
}

func (p *problems) err() error {
	var lines []string
	for _, f := range Fields() {
		if what, ok := p.by[f.Name]; ok {
			lines = append(lines, f.Name+" "+what)
		}
	}
	switch len(lines) {
	case 0:
		return nil
	case 1:
		return errors.New(lines[0])
	}
	return fmt.Errorf("%d mistakes:\n  %s", len(lines), strings.Join(lines, "\n  "))
}
