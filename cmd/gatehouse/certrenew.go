package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/cmd/gatehouse/admin"
	"gatehouse/cmd/gatehouse/config"
)

// certWait is how long a renewal is waited for.
const certWait = 5 * time.Minute

func certRenewCommand() *cobra.Command {
	var flags socketFlags
	var order admin.Renewal
	wait := config.FormatDuration(certWait)
	c := &cobra.Command{
		Use:   "renew NAME...|--all [--force] [--wait TIME] [-c FILE|DIR]... [--socket PATH]",
		Short: "Have certificates obtained now",
		Long: `Renew has a running gatehouse ask the CA now for the certificates of names it obtains by ACME, without waiting for the time it has planned, and
waits for what becomes of it. A certificate that is good and not due yet is left as it is; with --force it is renewed all the same, which
counts against the limits of the CA. What is served goes on being served until the new certificate is there.

Exit codes: 0 all names have a good certificate, 1 failed, or still under way when the time was over, 2 usage, 3 the configuration does not
say where the socket is, 5 not running.`,
		Args: func(c *cobra.Command, args []string) error {
			order.Names = args
			if err := order.Check(); err != nil {
				return errors.New("usage: gatehouse cert renew NAME...|--all")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			limit, err := config.ParseDuration(wait)
			if err != nil {
				return fmt.Errorf("--wait: %w", err)
			}
			client, err := flags.dial(c)
			if err != nil {
				return err
			}
			defer client.Close()
			r, err := client.Renew(c.Context(), order)
			if err != nil {
				return asked(err)
			}
			bad := 0
			for _, l := range r.Left {
				if l.Bad {
					bad++
				}
				if _, err := fmt.Fprintf(c.OutOrStdout(), "%s: left as it is: %s\n", l.Name, l.Why); err != nil {
					return failed(err)
				}
			}
			if slices.ContainsFunc(r.Left, func(l admin.LeftCert) bool { return !l.Bad }) {
				fmt.Fprintln(c.ErrOrStderr(), "gatehouse: --force renews those too for which it is not time yet")
			}
			n, err := renewed(c, client, r.Started, limit)
			if err != nil {
				return asked(err)
			}
			if bad += n; bad > 0 {
				return &failure{exitFailed, fmt.Errorf("%d of %d not renewed", bad, len(r.Left)+len(r.Started))}
			}
			return nil
		},
		ValidArgsFunction: func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			return flags.certified(nil), cobra.ShellCompDirectiveNoFileComp
		},
	}
	flags.add(c)
	c.Flags().BoolVar(&order.All, "all", false, "all names that are obtained by ACME")
	c.Flags().BoolVar(&order.Force, "force", false, "also those for which it is not time yet")
	c.Flags().StringVar(&wait, "wait", wait, "wait at most that `TIME`")
	return c
}

// renewed waits until all that was started is over, says how each has ended, and returns how many have failed.
func renewed(c *cobra.Command, client *admin.Client, started []admin.Started, limit time.Duration) (bad int, err error) {
	ctx, cancel := context.WithTimeout(c.Context(), limit)
	defer cancel()
	again := time.NewTicker(4 * look)
	defer again.Stop()
	for len(started) > 0 {
		list, err := client.Certificates(ctx)
		if err != nil && ctx.Err() == nil {
			return bad, err
		}
		at := make(map[[2]string]*admin.Certificate, len(list))
		for i := range list {
			if x := &list[i]; x.Source == "acme" {
				at[[2]string{x.TLS, x.Name()}] = x
			}
		}
		var left []admin.Started
		for _, s := range started {
			x, text := at[[2]string{s.TLS, s.Name}], ""
			switch {
			case ctx.Err() != nil:
				bad++
				text = fmt.Sprintf("still under way after %s; \"gatehouse cert list\" says what becomes of it", config.FormatDuration(limit))
			case x == nil:
				bad++
				text = "is not in the configuration any more"
			case x.Successes > s.Successes:
				text = fmt.Sprintf("obtained from %s, good until %s", x.CA, x.NotAfter.Local().Format(time.DateTime))
			case x.Failures > s.Failures && x.Failure != nil:
				bad++
				text = x.Failure.Why
				if x.Serving != "" {
					text += "\n  clients get " + x.Serving
				}
				text += "\n  next attempt " + x.Plan(time.Now())
			default:
				left = append(left, s)
				continue
			}
			if _, err := fmt.Fprintf(c.OutOrStdout(), "%s: %s\n", s.Name, text); err != nil {
				return bad, err
			}
		}
		if started = left; len(started) == 0 {
			break
		}
		select {
		case <-ctx.Done():
			if err := c.Context().Err(); err != nil {
				return bad, err
			}
		case <-again.C:
		}
	}
	return bad, nil
}
