// Command gatehouse stands in front of a web site: it ends TLS, caches, and balances the load over servers whose health it
// watches. One configuration file describes all of it.
//
//	gatehouse validate -c gatehouse.hcl
//	gatehouse run -c gatehouse.hcl
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// The exit codes.
const (
	exitFailed  = 1
	exitUsage   = 2
	exitInvalid = 3 // the configuration is
	exitAbsent  = 5 // no gatehouse runs that could be asked
)

// A failure ends the command with an exit code of its own. Any other error that reaches main is one of usage.
type failure struct {
	code int
	err  error // nil: everything has been said already
}

func (f *failure) Error() string {
	if f.err == nil {
		return ""
	}
	return f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

// failed is err as the end of a command that was used rightly and did not succeed.
func failed(err error) error {
	if err == nil {
		return nil
	}
	return &failure{exitFailed, err}
}

// commands are the verbs, in the order "gatehouse --help" shows them.
func commands() []*cobra.Command {
	return []*cobra.Command{
		runCommand(),
		demoCommand(),
		validateCommand(),
		fmtCommand(),
		convertCommand(),
		reloadCommand(),
		statusCommand(),
		serverCommand(),
		certCommand(),
		cacheCommand(),
		trustCommand(),
		versionCommand(),
	}
}

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run executes one command line and returns the exit code.
func run(args []string, in io.Reader, out, talk io.Writer) int {
	root := rootCommand()
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(talk)
	root.SetArgs(longFlags(root, args))
	err := root.Execute()
	if err == nil {
		return 0
	}
	var f *failure
	if errors.As(err, &f) {
		if f.err != nil {
			fmt.Fprintf(talk, "gatehouse: %v\n", f.err)
		}
		return f.code
	}
	fmt.Fprintf(talk, "gatehouse: %v\n", err)
	fmt.Fprintln(talk, `Try "gatehouse --help".`)
	return exitUsage
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "gatehouse",
		Short: "One program in front of a web site: TLS, cache, load balancer",
		Long: `Gatehouse stands in front of a web site: it ends TLS, caches, and balances the load over servers whose
health it watches. One HCL file describes all of it; "gatehouse help" lists what the file may hold.

Results go to stdout, talk goes to stderr. Exit codes: 0 well, 1 failed, 2 usage, 3 invalid configuration,
4 converted but for what was refused, 5 not running.`,
		Version:       versionLine(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			c.SetOut(c.ErrOrStderr())
			if err := c.Help(); err != nil {
				return failed(err)
			}
			return &failure{exitUsage, nil}
		},
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.AddCommand(commands()...)
	root.SetHelpCommand(helpCommand())
	root.InitDefaultCompletionCmd()
	return root
}

// longFlags lets long flags be written with one dash too, as in "fmt -check": args with the second dash added where the verb has
// a long flag of that name.
func longFlags(root *cobra.Command, args []string) []string {
	verb, _, err := root.Find(args)
	if err != nil {
		verb = root
	}
	out := make([]string, 0, len(args))
	for i, arg := range args {
		if arg == "--" {
			return append(out, args[i:]...)
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(arg, "-"), "=")
		if len(name) > 1 && arg[0] == '-' && name[0] != '-' && (name == "help" || verb.Flags().Lookup(name) != nil || verb.InheritedFlags().Lookup(name) != nil) {
			arg = "-" + arg
		}
		out = append(out, arg)
	}
	return out
}
