package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"gatehouse/cmd/gatehouse/config"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"
)

// A formatter is one run of "gatehouse fmt".
type formatter struct {
	check, diff bool
	out, talk   io.Writer
	invalid     bool // a file has syntax errors
	changed     bool // a file is, or would be, different
}

func fmtCommand() *cobra.Command {
	var f formatter
	c := &cobra.Command{
		Use:   "fmt [-check] [-diff] [FILE|DIR]...",
		Short: "Write configuration files in the usual layout",
		Long: `Fmt aligns and indents configuration files in place and prints the names of those it changed. Directories stand for the *.hcl
files in them, "-" for stdin, which is written to stdout. Without a name: ./gatehouse.hcl, or /etc/gatehouse/gatehouse.hcl.

Exit codes: 0 well, 1 a file cannot be read or written, or with -check would change, 2 usage, 3 a file has syntax errors.`,
		RunE: func(c *cobra.Command, args []string) error {
			f.out, f.talk = c.OutOrStdout(), c.ErrOrStderr()
			files, err := configFiles(args)
			if err != nil {
				return failed(err)
			}
			for _, name := range files {
				if err := f.file(name, c.InOrStdin()); err != nil {
					return failed(err)
				}
			}
			switch {
			case f.invalid:
				return &failure{exitInvalid, nil}
			case f.check && f.changed:
				return &failure{exitFailed, nil}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&f.check, "check", false, "change nothing; exit with 1 when something would change")
	c.Flags().BoolVar(&f.diff, "diff", false, "change nothing; print what would change")
	return c
}

// configFiles returns the files that args stand for.
func configFiles(args []string) ([]string, error) {
	if len(args) == 0 {
		for _, name := range defaultConfigs {
			if _, err := os.Stat(name); err == nil {
				return []string{name}, nil
			}
		}
		return nil, errors.New("no configuration to format: name a file")
	}
	var files []string
	for _, arg := range args {
		if info, err := os.Stat(arg); err != nil || !info.IsDir() {
			files = append(files, arg)
			continue
		}
		entries, err := os.ReadDir(arg)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if config.IsConfig(e.Name()) && !e.IsDir() {
				files = append(files, filepath.Join(arg, e.Name()))
			}
		}
	}
	return files, nil
}

// file formats one file.
func (f *formatter) file(name string, in io.Reader) error {
	var text []byte
	var err error
	if name == "-" {
		text, err = io.ReadAll(in)
	} else {
		text, err = os.ReadFile(name)
	}
	if err != nil {
		return err
	}
	formatted, diags := config.Format(name, text)
	if diags.HasErrors() {
		f.invalid = true
		return diags.Print(f.talk)
	}
	same := bytes.Equal(formatted, text)
	f.changed = f.changed || !same
	switch {
	case same && (name != "-" || f.check || f.diff):
		return nil
	case f.diff:
		_, err = f.out.Write(diff.Diff(name, text, name+" (formatted)", formatted))
		return err
	case f.check:
	case name == "-":
		_, err = f.out.Write(formatted)
		return err
	default:
		if err := replace(name, formatted); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintln(f.out, name)
	return err
}

// replace writes a file anew, all of it or nothing. It keeps the permissions, and follows a symbolic link to what is to be
// replaced.
func replace(name string, text []byte) error {
	name, err := filepath.EvalSymlinks(name)
	if err != nil {
		return err
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // no longer there when all went well
	_, err = tmp.Write(text)
	if err := errors.Join(err, tmp.Chmod(info.Mode().Perm()), tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}
