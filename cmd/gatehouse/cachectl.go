package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/cmd/gatehouse/admin"
)

func cacheCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "cache stats|list|purge",
		Short: "Look into the caches of a running gatehouse, or make them forget",
		Long:  `Cache says what the caches of a running gatehouse remember and how often that was of use, and makes them forget.`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("cache needs to know what to do: stats, list or purge")
			}
			return fmt.Errorf("cache cannot %q: it can stats, list and purge", args[0])
		},
		RunE: func(*cobra.Command, []string) error { return nil }, // Args has refused
	}
	c.AddCommand(cacheStatsCommand(), cacheListCommand(), cachePurgeCommand())
	return c
}

func cacheStatsCommand() *cobra.Command {
	var flags socketFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "stats [--json] [-c FILE|DIR]... [--socket PATH]",
		Short: "Say what caches remember, and how often that was of use",
		Long: `Stats lists the caches of a running gatehouse: how many URLs they remember something of, and in how much memory; how many requests were
answered from it, how many had to be fetched, and how many of those got an answer that another request was fetching. Of disk tiers it says
how many answers are there, whether the directory is in use, and what went wrong with it.

Exit codes: 0 well, 1 failed, 2 usage, 3 the configuration does not say where the socket is, 5 not running.`,
		Args: noWords,
		RunE: func(c *cobra.Command, _ []string) error {
			return flags.ask(c, func(client *admin.Client) error {
				s, err := client.Status(c.Context())
				if err != nil {
					return err
				}
				return printAnswer(c, asJSON, s.Caches, s.WriteCaches)
			})
		},
	}
	flags.add(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print everything, as JSON")
	return c
}

func cachePurgeCommand() *cobra.Command {
	var flags socketFlags
	var order admin.Purge
	c := &cobra.Command{
		Use:   "purge URL | --prefix URL | --tag TAG | --all",
		Short: "Make caches forget",
		Long: `Purge makes the caches of a running gatehouse forget a URL, such as https://shop.example.com/list?page=2, with all its variants; all URLs
that begin with a prefix; all answers that their server gave a tag, as a word of Surrogate-Key or Cache-Tag; or everything. What is being
fetched meanwhile is not remembered either. It prints of how many URLs something was forgotten.

Exit codes: 0 done, also when there was nothing to forget, 1 failed, 2 usage, 3 the configuration does not say where the socket is, 5 not
running.`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("purge takes one URL, not %d", len(args))
			}
			if len(args) == 1 {
				order.URL = args[0]
			}
			for _, url := range []string{order.URL, order.Prefix} {
				if url != "" && !strings.Contains(url, "://") {
					return fmt.Errorf("%q is no URL: write it with its scheme and host, such as https://shop.example.com/list", url)
				}
			}
			if err := order.Check(); err != nil {
				return fmt.Errorf("purge: %w", err)
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error {
			return flags.ask(c, func(client *admin.Client) error {
				done, err := client.Purge(c.Context(), order)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(c.OutOrStdout(), "%d forgotten\n", done.URLs)
				return err
			})
		},
	}
	flags.add(c)
	c.Flags().StringVar(&order.Prefix, "prefix", "", "forget all URLs that begin with that `URL`")
	c.Flags().StringVar(&order.Tag, "tag", "", "forget all answers with that `TAG`")
	c.Flags().BoolVar(&order.All, "all", false, "forget everything")
	c.Flags().StringVar(&order.Cache, "cache", "", "only the cache block of that `NAME`")
	return c
}
