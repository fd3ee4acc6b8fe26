package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Field describes one setting, for the example file and the table.
type Field struct {
	Name        string
	Default     string
	Description string
	Section     string
	Secret      bool
	Need        []string // processes that refuse to start without it
	only        []string // processes that may know it; none listed means all
	index       []int
}

// Fields lists every setting in the order of the struct.
func Fields() []Field {
	general := fieldsOf(reflect.TypeFor[Config](), "General", nil)
	slices.SortStableFunc(general, func(a, b Field) int { return btoi(a.Section != "General") - btoi(b.Section != "General") })
	return general
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func fieldsOf(t reflect.Type, section string, parent []int) []Field {
	var fields []Field
	for i := range t.NumField() {
		f := t.Field(i)
		index := append(slices.Clone(parent), i)
		if name := f.Tag.Get("section"); name != "" {
			fields = append(fields, fieldsOf(f.Type, name, index)...)
			continue
		}
		name := f.Tag.Get("env")
		if name == "" {
			continue
		}
		fields = append(fields, Field{
			Name: name, Default: f.Tag.Get("envDefault"), Description: f.Tag.Get("desc"), Section: section,
			Secret: isSecret(f.Type), Need: list(f.Tag.Get("need")), only: list(f.Tag.Get("only")), index: index,
		})
	}
	return fields
}

func isSecret(t reflect.Type) bool {
	return t == reflect.TypeFor[Secret]() || t == reflect.TypeFor[[]Secret]() || t == reflect.TypeFor[Key]() || t == reflect.TypeFor[[]Key]()
}

func list(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

// Example is the text of .env.example: every setting with its default; what a process cannot start without stands
// empty, to be filled in.
func Example() string {
	var b strings.Builder
	b.WriteString("# Settings of Mailsweep, with their defaults. An empty value counts as not set.\n")
	b.WriteString("# A random key: openssl rand -base64 32\n")
	section := ""
	for _, f := range Fields() {
		if f.Section != section {
			section = f.Section
			fmt.Fprintf(&b, "\n# --- %s ---\n", section)
		}
		fmt.Fprintf(&b, "# %s%s\n", upperFirst(f.Description), f.needed())
		if f.Default == "" && len(f.Need) == 0 {
			fmt.Fprintf(&b, "#%s=\n", f.Name)
			continue
		}
		value := f.Default
		if strings.Contains(value, " ") {
			value = `"` + value + `"`
		}
		fmt.Fprintf(&b, "%s=%s\n", f.Name, value)
	}
	return b.String()
}

// Table is the Markdown table of settings for the README.
func Table() string {
	var b strings.Builder
	b.WriteString("| setting | default | what it does |\n|---|---|---|\n")
	for _, f := range Fields() {
		value := ""
		if f.Default != "" {
			value = "`" + f.Default + "`"
		}
		description := strings.ReplaceAll(upperFirst(f.Description)+f.needed(), "|", `\|`)
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.Name, value, description)
	}
	return b.String()
}

func (f Field) needed() string {
	if len(f.Need) == 0 {
		return ""
	}
	return " (needed by " + strings.Join(f.Need, ", ") + ")"
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
