package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"gatehouse/cmd/gatehouse/convert"

	"github.com/spf13/cobra"
)

// exitRefused is the exit code of a conversion that had to leave something out.
const exitRefused = 4

// A converter is one run of "gatehouse convert".
type converter struct {
	paths        [4][]string // by convert.Kind
	out          string
	report, json bool
	idiomatic    bool
	stdout, talk io.Writer
}

func convertCommand() *cobra.Command {
	var v converter
	c := &cobra.Command{
		Use:   "convert (--stunnel FILE | --haproxy FILE | --apache FILE | --nginx FILE)... [-o FILE] [--report | --json] [--idiomatic]",
		Short: "Make one configuration of those of stunnel, HAProxy, Apache and nginx",
		Long: `Convert reads the configurations of the programs gatehouse replaces and writes one configuration for all of them. Name everything
that stands in the path of a request: where one program leads to another, both become one frontend. Several files of one program count as
one, in their order; a directory stands for the *.cfg files (HAProxy) or *.conf files in it. Included files are read too.

The configuration goes to stdout, or to the file -o names. Every directive that was read is accounted for: it was kept, folded (a default,
or without effect here), noted (converted, but look at it) or refused (left out, because it cannot mean the same). Those that were refused
are always named on stderr. --report prints all of them, on stdout where -o leaves it free, else on stderr. --json prints them as JSON on
stdout, with the configuration in it unless -o is given.

Exit codes: 0 well, 1 an input cannot be read, 2 usage, 4 something was refused: the rest was converted.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("convert: which program is %q of? Write --haproxy %s, or --stunnel, --apache or --nginx", args[0], args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error {
			v.stdout, v.talk = c.OutOrStdout(), c.ErrOrStderr()
			return v.run()
		},
	}
	flags := c.Flags()
	for kind := range v.paths {
		k := convert.Kind(kind)
		flags.StringArrayVar(&v.paths[kind], k.String(), nil, fmt.Sprintf("configuration `FILE` of %s, or a directory of them; may be repeated", k))
	}
	flags.StringVarP(&v.out, "output", "o", "", "`FILE` to write the configuration to, instead of stdout")
	flags.BoolVar(&v.report, "report", false, "print what became of every directive")
	flags.BoolVar(&v.json, "json", false, "print what became of every directive as JSON")
	flags.BoolVar(&v.idiomatic, "idiomatic", false, "write what one would who begins anew, not what is closest to the old files")
	c.MarkFlagsMutuallyExclusive("report", "json")
	return c
}

func (v *converter) run() error {
	var inputs []convert.Input
	for kind, paths := range v.paths {
		for _, p := range paths {
			inputs = append(inputs, convert.Input{Kind: convert.Kind(kind), Path: p})
		}
	}
	if len(inputs) == 0 {
		return errors.New("convert: name a configuration with --haproxy, --stunnel, --apache or --nginx")
	}
	r, err := convert.Convert(inputs, convert.Options{Idiomatic: v.idiomatic})
	if err != nil {
		return failed(err)
	}
	if err := v.write(r); err != nil {
		return failed(err)
	}
	switch {
	case len(r.Report.Refusals()) > 0:
		return &failure{exitRefused, nil}
	case r.Text == nil:
		return failed(errors.New("nothing in what was read listens: pieces of a configuration are converted together"))
	}
	return nil
}

// write puts the configuration and the report where they belong.
func (v *converter) write(r *convert.Result) error {
	refusals := v.talk
	switch {
	case r.Text == nil:
	case v.out != "":
		if err := create(v.out, r.Text); err != nil {
			return err
		}
	case !v.json:
		if _, err := v.stdout.Write(r.Text); err != nil {
			return err
		}
	}
	switch {
	case v.json:
		return v.writeJSON(r)
	case v.report && v.out != "":
		return r.Report.WriteTable(v.stdout)
	case v.report:
		return r.Report.WriteTable(v.talk)
	}
	if err := r.Report.WriteTable(refusals, convert.Refused); err != nil {
		return err
	}
	_, err := fmt.Fprintln(v.talk, r.Report.Summary())
	return err
}

func (v *converter) writeJSON(r *convert.Result) error {
	var text *string
	if v.out == "" && r.Text != nil {
		text = new(string(r.Text))
	}
	e := json.NewEncoder(v.stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(struct {
		Configuration *string         `json:"configuration,omitempty"`
		Report        *convert.Report `json:"report"`
	}{text, r.Report})
}

// create writes a file, all of it or nothing. One that exists keeps its permissions.
func create(name string, text []byte) error {
	if _, err := os.Stat(name); err == nil {
		return replace(name, text)
	}
	tmp, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // no longer there when all went well
	_, err = tmp.Write(text)
	if err := errors.Join(err, tmp.Chmod(0o644), tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}
