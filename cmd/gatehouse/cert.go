package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/cmd/gatehouse/admin"
)

func certCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "cert list|show|renew|import|export",
		Short: "Look at certificates, renew them, bring them in or hand them on",
		Long: `Cert says which certificates there are and how it stands with those that gatehouse obtains by itself, has them obtained anew, brings in those
of another program, and hands them on to others.`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("cert needs to know what to do: list, show, renew, import or export")
			}
			return fmt.Errorf("cert cannot %q: it can list, show, renew, import and export", args[0])
		},
		RunE: func(*cobra.Command, []string) error { return nil }, // Args has refused
	}
	c.AddCommand(certListCommand(), certShowCommand(), certRenewCommand(), certImportCommand(), certExportCommand())
	return c
}

func certListCommand() *cobra.Command {
	var flags socketFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "list [--json] [-c FILE|DIR]... [--socket PATH]",
		Short: "Say which certificates there are, and how it stands with them",
		Long: `List prints the certificates of a running gatehouse: for each name that is obtained by ACME, and for each certificate that was read from a
file or is of the internal CA, its state, the CA or the file, by which challenges the CA can see that the name is ours, when it ends, and
when gatehouse does something about it next. Below the table it says what went wrong with the last attempt, in words and as the CA has
put it, what clients get meanwhile, and which files cannot be used.

Exit codes: 0 well, 1 failed, 2 usage, 3 the configuration does not say where the socket is, 5 not running.`,
		Args: noWords,
		RunE: func(c *cobra.Command, _ []string) error {
			return flags.ask(c, func(client *admin.Client) error {
				list, err := client.Certificates(c.Context())
				if err != nil {
					return err
				}
				return printAnswer(c, asJSON, list, func(w io.Writer) error { return admin.WriteCertificates(w, list, time.Now()) })
			})
		},
	}
	flags.add(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print everything, as JSON")
	return c
}

func certShowCommand() *cobra.Command {
	var flags socketFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "show NAME [--json] [-c FILE|DIR]... [--socket PATH]",
		Short: "Say everything about the certificate of a name",
		Long: `Show prints what clients get who ask a running gatehouse for a name: all names of the certificate, who has issued it, its key, its
fingerprints, the chain that is sent with it, what the CA says of it (OCSP), where it is stored, and since when it is served. Of a name
that is obtained by ACME it says how it stands with that.

Exit codes: 0 well, 1 there is none, or failed, 2 usage, 3 the configuration does not say where the socket is, 5 not running.`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("usage: gatehouse cert show NAME")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return flags.ask(c, func(client *admin.Client) error {
				shown, err := client.Certificate(c.Context(), args[0])
				if err != nil {
					return err
				}
				return printAnswer(c, asJSON, shown, func(w io.Writer) error { return shown.WriteText(w, time.Now()) })
			})
		},
		ValidArgsFunction: func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			return flags.certified(args), cobra.ShellCompDirectiveNoFileComp
		},
	}
	flags.add(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print everything, as JSON")
	return c
}

// certified lists the hosts of the configuration that is served by TLS, for a shell to complete.
func (f *socketFlags) certified(args []string) (list []string) {
	if len(args) > 0 {
		return nil
	}
	file, _, err := f.read()
	if err != nil {
		return nil
	}
	for _, c := range file.Frontends {
		list = append(list, c.Hosts...)
	}
	for _, t := range file.TLS {
		list = append(list, t.Hosts...)
	}
	return list
}
