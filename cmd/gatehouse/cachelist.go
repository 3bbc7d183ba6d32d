package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/cmd/gatehouse/admin"
)

func cacheListCommand() *cobra.Command {
	var flags socketFlags
	var listing admin.Listing
	var asJSON bool
	c := &cobra.Command{
		Use:   "list [--prefix URL] [--cache NAME] [--limit N] [--json] [-c FILE|DIR]... [--socket PATH]",
		Short: "Say which answers caches remember",
		Long: `List prints the answers that the caches of a running gatehouse remember, one in each line: status, size of the content in bytes, age, for how
long it is still fresh, whether it is in memory, on the disk or in both, by which request fields it was selected, and its URL. It stops after
1000, or --limit, and says so. To list what is on the disk alone takes time: the beginning of each file is read.

Exit codes: 0 well, 1 failed, 2 usage, 3 the configuration does not say where the socket is, 5 not running.`,
		Args: func(c *cobra.Command, args []string) error {
			if listing.Prefix != "" && !strings.Contains(listing.Prefix, "://") {
				return fmt.Errorf("%q is no URL: write it with its scheme and host, such as https://shop.example.com/list", listing.Prefix)
			}
			if err := listing.Check(); err != nil {
				return fmt.Errorf("list: %w", err)
			}
			return noWords(c, args)
		},
		RunE: func(c *cobra.Command, _ []string) error {
			return flags.ask(c, func(client *admin.Client) error {
				list, err := client.List(c.Context(), listing)
				if err != nil {
					return err
				}
				err = printAnswer(c, asJSON, list, list.WriteText)
				if list.More && !asJSON {
					fmt.Fprintf(c.ErrOrStderr(), "there are more than %d: name a --prefix, or raise --limit\n", listing.Limit)
				}
				return err
			})
		},
	}
	flags.add(c)
	c.Flags().StringVar(&listing.Prefix, "prefix", "", "only URLs that begin with that `URL`")
	c.Flags().StringVar(&listing.Cache, "cache", "", "only the cache block of that `NAME`")
	c.Flags().IntVar(&listing.Limit, "limit", 1000, "print at most `N` answers")
	c.Flags().BoolVar(&asJSON, "json", false, "print everything, as JSON")
	return c
}
