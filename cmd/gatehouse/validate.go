package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"gatehouse/cmd/gatehouse/config"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// defaultConfigs is where a configuration is looked for when none is named. The first that exists counts.
var defaultConfigs = []string{"gatehouse.hcl", "/etc/gatehouse/gatehouse.hcl"}

// configFlags are the flags of all verbs that read a configuration.
type configFlags struct {
	paths []string
	vars  []string
}

// add declares the flags -c and --var.
func (f *configFlags) add(flags *pflag.FlagSet) {
	flags.StringArrayVarP(&f.paths, "config", "c", nil, "configuration `FILE`, or a directory of *.hcl files; may be repeated (default ./gatehouse.hcl, then /etc/gatehouse/gatehouse.hcl)")
	flags.StringArrayVar(&f.vars, "var", nil, "value of a variable, as `NAME=VALUE`; may be repeated")
}

// load reads the configuration the flags name, with the files it names in turn, and prints to the command's stderr all that
// is wrong with it. The error, if any, says no more and has the right exit code. Names is what was read.
func (f *configFlags) load(c *cobra.Command) (file *config.File, names []string, err error) {
	file, diags, err := f.read()
	if err != nil {
		return nil, nil, err
	}
	if err := diags.Print(c.ErrOrStderr()); err != nil {
		return nil, nil, failed(err)
	}
	if diags.HasErrors() {
		return nil, nil, &failure{exitInvalid, nil}
	}
	return file, f.paths, nil
}

// read is load without a word. Where no flag names a configuration, the one that is found is remembered: the next read is of the same
// one.
func (f *configFlags) read() (*config.File, *config.Diagnostics, error) {
	if len(f.paths) == 0 {
		for _, name := range defaultConfigs {
			if _, err := os.Stat(name); err == nil {
				f.paths = []string{name}
				break
			}
		}
	}
	if len(f.paths) == 0 {
		return nil, nil, &failure{exitInvalid, fmt.Errorf("no configuration: neither %s exists; name one with -c", strings.Join(defaultConfigs, " nor "))}
	}
	vars := map[string]string{}
	for _, v := range f.vars {
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" {
			return nil, nil, fmt.Errorf("--var %s: want NAME=VALUE", v)
		}
		vars[name] = value
	}
	file, diags := config.Load(f.paths, config.Options{Vars: vars})
	file.VerifyFiles()
	return file, diags, nil
}

func validateCommand() *cobra.Command {
	var flags configFlags
	c := &cobra.Command{
		Use:   "validate [-c FILE|DIR]... [--var NAME=VALUE]...",
		Short: "Check a configuration and the files it names",
		Long: `Validate reads a configuration as "gatehouse run" would and reports everything that is wrong with it, in all its files at
once, with the lines it is about and what to do. Certificate files are read too. Nothing is started.

Exit codes: 0 valid (warnings do not count), 2 usage, 3 invalid.`,
		Args: noWords,
		RunE: func(c *cobra.Command, _ []string) error {
			file, names, err := flags.load(c)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s: valid (%s)\n", strings.Join(names, ", "), file.Counts())
			return failed(err)
		},
	}
	flags.add(c.Flags())
	return c
}

// noWords refuses arguments that are no flags, most often a file without its -c.
func noWords(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if _, err := os.Stat(args[0]); err == nil {
		return fmt.Errorf("%s takes no argument %q: did you mean -c %s?", c.Name(), args[0], args[0])
	}
	return errors.New(c.Name() + " takes flags only: " + args[0] + "?")
}
