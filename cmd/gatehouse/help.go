package main

import (
	"fmt"

	"gatehouse/cmd/gatehouse/config"

	"github.com/spf13/cobra"
)

// helpCommand prints the reference of the configuration; a verb's name prints how the verb is used.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [WORD]",
		Short: "Explain a word of the configuration, or a command",
		Long: `Help explains what a configuration may hold: a block ("gatehouse help backend"), an attribute wherever it occurs ("gatehouse help
weight") or at one place ("gatehouse help backend.server.weight"). Without a word it lists the blocks. The name of a command
prints how that is used.`,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				if _, err := fmt.Fprint(c.OutOrStdout(), config.Blocks()); err != nil {
					return failed(err)
				}
				_, err := fmt.Fprintln(c.OutOrStdout(), "\n\"gatehouse help WORD\" explains a block or an attribute, \"gatehouse --help\" the commands.")
				return failed(err)
			}
			verb, rest, err := c.Root().Find(args)
			isVerb := err == nil && len(rest) == 0
			if len(args) == 1 {
				if text, ok := config.Help(args[0]); ok {
					if isVerb { // "server" is both
						text += fmt.Sprintf("\nFor the command see \"%s --help\".\n", verb.CommandPath())
					}
					_, err := fmt.Fprint(c.OutOrStdout(), text)
					return failed(err)
				}
			}
			if isVerb {
				return failed(verb.Help())
			}
			return fmt.Errorf("help: %s", config.Unknown(args[0]))
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return config.Words(), cobra.ShellCompDirectiveNoFileComp
		},
	}
}
