package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/backend"
	"gatehouse/cmd/gatehouse/admin"
	"gatehouse/cmd/gatehouse/config"
)

// socketFlags are the flags of the verbs that talk to a running gatehouse.
type socketFlags struct {
	configFlags
	socket string
}

func (f *socketFlags) add(c *cobra.Command) {
	f.configFlags.add(c.Flags())
	c.Flags().StringVar(&f.socket, "socket", "", "admin socket, as a `PATH` (default: that of the configuration)")
}

// dial finds the socket and returns a client for it. A configuration that is wrong elsewhere still says where the socket is.
func (f *socketFlags) dial(c *cobra.Command) (*admin.Client, error) {
	if f.socket != "" {
		return admin.Dial(f.socket), nil
	}
	file, diags, err := f.read()
	switch {
	case err != nil:
		return nil, err
	case file.Admin != nil && file.Admin.Socket != "":
		return admin.Dial(file.Admin.Socket), nil
	case diags.HasErrors():
		if err := diags.Print(c.ErrOrStderr()); err != nil {
			return nil, failed(err)
		}
		return nil, &failure{exitInvalid, errors.New("where the admin socket is cannot be read; name it with --socket")}
	}
	return nil, &failure{exitAbsent, fmt.Errorf("%s has no admin block, so there is no socket to ask: add admin {} and restart, or name another one with --socket",
		strings.Join(f.paths, ", "))}
}

// ask asks a running gatehouse. An error of question is one of the exchange with it.
func (f *socketFlags) ask(c *cobra.Command, question func(*admin.Client) error) error {
	client, err := f.dial(c)
	if err != nil {
		return err
	}
	defer client.Close()
	return asked(question(client))
}

// printAnswer prints what a running gatehouse has answered: v for programs, or what text makes of it.
func printAnswer(c *cobra.Command, asJSON bool, v any, text func(io.Writer) error) error {
	if !asJSON {
		return text(c.OutOrStdout())
	}
	e := json.NewEncoder(c.OutOrStdout())
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// asked gives the error of a question the right exit code.
func asked(err error) error {
	if errors.Is(err, admin.ErrNotRunning) {
		return &failure{exitAbsent, err}
	}
	return failed(err)
}

func statusCommand() *cobra.Command {
	var flags socketFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "status [--json] [-c FILE|DIR]... [--socket PATH]",
		Short: "Say how a running gatehouse is",
		Long: `Status asks a running gatehouse how it is: its frontends and what came in there; its backends, and for each server whether it takes
requests, since when, and why; certificates and when they end; lines that logs could not write; how the last reload ended.

Exit codes: 0 well, 1 failed, 2 usage, 3 the configuration does not say where the socket is, 5 not running.`,
		Args: noWords,
		RunE: func(c *cobra.Command, _ []string) error {
			return flags.ask(c, func(client *admin.Client) error {
				s, err := client.Status(c.Context())
				if err != nil {
					return err
				}
				return printAnswer(c, asJSON, s, s.WriteText)
			})
		},
	}
	flags.add(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print everything, as JSON")
	return c
}

func reloadCommand() *cobra.Command {
	var flags socketFlags
	c := &cobra.Command{
		Use:   "reload [-c FILE|DIR]... [--socket PATH]",
		Short: "Make a running gatehouse take its configuration anew",
		Long: `Reload asks a running gatehouse to read its configuration anew, the files it was started with, and waits for the outcome. It
prints what is different from before, or why the new configuration is refused. Then nothing has changed at all.

Nobody is cut off: connections stay, and their next request is served as the new configuration says. Addresses that are gone are
closed, and what is under way there may finish within global.shutdown_grace. Servers keep their health, and what the operator wants of
them ("gatehouse server"). The signal HUP does the same.

Exit codes: 0 done, 1 failed, 2 usage, 3 refused, 5 not running.`,
		Args: noWords,
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := flags.dial(c)
			if err != nil {
				return err
			}
			defer client.Close()
			o, err := client.Reload(c.Context())
			if errors.Is(err, admin.ErrNotRunning) && flags.socket == "" {
				return asked(fmt.Errorf("%w; if admin.socket is what has changed, name the old one with --socket", err))
			}
			if err != nil {
				return asked(err)
			}
			return report(c, o)
		},
	}
	flags.add(c)
	return c
}

// report prints how a reload ended.
func report(c *cobra.Command, o *admin.Outcome) error {
	if _, err := fmt.Fprint(c.ErrOrStderr(), o.Diagnostics); err != nil {
		return failed(err)
	}
	switch {
	case o.Unwilling != "":
		return failed(errors.New(o.Unwilling))
	case !o.Done:
		return &failure{exitInvalid, fmt.Errorf("reload refused; generation %d serves on, nothing has changed", o.Generation)}
	}
	lines := append(slices.Clone(o.Changes), o.Notes...)
	if len(o.Changes) == 0 {
		lines = slices.Insert(lines, 0, "nothing has changed")
	}
	if _, err := fmt.Fprintln(c.OutOrStdout(), strings.Join(lines, "\n")); err != nil {
		return failed(err)
	}
	_, err := fmt.Fprintf(c.ErrOrStderr(), "generation %d serves, after %.2f s\n", o.Generation, o.Seconds)
	return failed(err)
}

// serverVerbs are what an operator may want of a server, but for its weight.
var serverVerbs = []struct{ verb, short, long string }{
	{"drain", "Send a server nobody new", `Drain keeps a server for the holders of its cookie and sends it nobody else, until "gatehouse server ready". Without a cookie in
the backend, it gets no request at all.`},
	{"maint", "Send a server nobody", `Maint takes a server out: holders of its cookie go to another server and get a new cookie, idle connections are closed. What is under
way may finish. It holds until "gatehouse server ready".`},
	{"ready", "Let a server take requests again", `Ready ends "drain" and "maint", those of the configuration too. What the health checks say counts as ever, and so does the weight.`},
}

func serverCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "server drain|maint|ready|weight BACKEND/SERVER",
		Short: "Take a server of a running gatehouse out, or in again",
		Long: `Server changes what a server takes, at once and without a reload. It holds over reloads and restarts, whatever the configuration says,
until it is taken back or the server is no longer in the configuration. "gatehouse status" shows it.`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("server needs to know what to do: drain, maint, ready or weight")
			}
			return fmt.Errorf("server cannot %q: there is drain, maint, ready and weight", args[0])
		},
		RunE: func(*cobra.Command, []string) error { return nil }, // not reached: Args refuses
	}
	for _, v := range serverVerbs {
		c.AddCommand(orderCommand(v.verb+" BACKEND/SERVER [--wait TIME]", v.short, v.long, 1, func(o *admin.Order, _ []string) error {
			o.State = v.verb
			return nil
		}))
	}
	c.AddCommand(orderCommand("weight BACKEND/SERVER N|default [--wait TIME]", "Change a server's share",
		`Weight changes a server's share of the load, from 0 to 256; with 0 only holders of its cookie come. "default" takes it back: the
configuration counts again.`, 2, func(o *admin.Order, args []string) error {
			if args[1] == "default" {
				o.Weight = &admin.Weight{Configured: true}
				return nil
			}
			n, err := strconv.Atoi(args[1])
			if err != nil || n < 0 || n > backend.MaxWeight {
				return fmt.Errorf("weight %q: want a number from 0 to %d, or default", args[1], backend.MaxWeight)
			}
			o.Weight = &admin.Weight{N: n}
			return nil
		}))
	return c
}

// orderCommand is a verb about one server. Fill puts what is wanted into the order.
func orderCommand(use, short, long string, words int, fill func(o *admin.Order, args []string) error) *cobra.Command {
	var flags socketFlags
	var wait string
	c := &cobra.Command{
		Use: use, Short: short,
		Long: long + `

With --wait it returns when no exchange with the server is under way any more.

Exit codes: 0 done, 1 failed or still busy when the time was over, 2 usage, 3 the configuration does not say where the socket is, 5 not
running.`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != words {
				return fmt.Errorf("usage: gatehouse server %s", use)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			var order admin.Order
			var ok bool
			if order.Backend, order.Server, ok = strings.Cut(args[0], "/"); !ok || order.Backend == "" || order.Server == "" {
				return fmt.Errorf("%q is no server: write BACKEND/SERVER", args[0])
			}
			if err := fill(&order, args); err != nil {
				return err
			}
			var limit time.Duration
			if wait != "" {
				var err error
				if limit, err = config.ParseDuration(wait); err != nil {
					return fmt.Errorf("--wait: %w", err)
				}
			}
			client, err := flags.dial(c)
			if err != nil {
				return err
			}
			defer client.Close()
			done, err := client.Obey(c.Context(), order)
			if err != nil {
				return asked(err)
			}
			for _, note := range done.Notes {
				fmt.Fprintf(c.ErrOrStderr(), "gatehouse: %s\n", note)
			}
			if wait != "" {
				if err := quiet(c.Context(), client, &done.Server, limit); err != nil {
					return asked(err)
				}
			}
			s := &done.Server
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s/%s: %s, weight %d, %d under way\n", s.Backend, s.Name, s.State, s.Weight, s.Active)
			return failed(err)
		},
		ValidArgsFunction: func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			return flags.servers(args), cobra.ShellCompDirectiveNoFileComp
		},
	}
	flags.add(c)
	c.Flags().StringVar(&wait, "wait", "", "wait that `TIME`, such as 30s, for what is under way to end")
	return c
}

// servers lists the servers of the configuration, for a shell to complete.
func (f *socketFlags) servers(args []string) (list []string) {
	if len(args) > 0 {
		return nil
	}
	file, _, err := f.read()
	if err != nil {
		return nil
	}
	for _, b := range file.Backends {
		for _, s := range b.Servers {
			list = append(list, b.Name+"/"+s.Name)
		}
	}
	return list
}

// look is how often a server that is waited for is looked at.
const look = 50 * time.Millisecond

// quiet waits until nothing is under way with a server, and brings s up to date.
func quiet(ctx context.Context, client *admin.Client, s *admin.Server, limit time.Duration) error {
	again := time.NewTicker(look)
	defer again.Stop()
	over := time.NewTimer(limit)
	defer over.Stop()
	for s.Active > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-over.C:
			return fmt.Errorf("%s/%s: %s; after %s still %d under way", s.Backend, s.Name, s.State, config.FormatDuration(limit), s.Active)
		case <-again.C:
		}
		status, err := client.Status(ctx)
		if err != nil {
			return err
		}
		now := status.Server(s.Backend, s.Name)
		if now == nil {
			return fmt.Errorf("%s/%s is not in the configuration any more", s.Backend, s.Name)
		}
		*s = *now
	}
	return nil
}
