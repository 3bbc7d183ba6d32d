package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/cmd/gatehouse/admin"
	"gatehouse/cmd/gatehouse/config"
	"gatehouse/cmd/gatehouse/house"
	"gatehouse/tlsconf"
)

// configured reads the configuration for a verb that works without a running gatehouse too.
func (f *socketFlags) configured(c *cobra.Command) (*config.File, error) {
	file, diags, err := f.read()
	if err != nil {
		return nil, err
	}
	if diags.HasErrors() || file.Global.StateDir == "" {
		if err := diags.Print(c.ErrOrStderr()); err != nil {
			return nil, failed(err)
		}
		return nil, &failure{exitInvalid, errors.New("the configuration has to be right before that")}
	}
	return file, nil
}

// ask calls a running gatehouse, if the configuration says where it could be. ran reports that there is one; then err is its answer.
func (f *socketFlags) askIfRunning(c *cobra.Command, ask func(*admin.Client) error) (ran bool, err error) {
	client, err := f.dial(c)
	if end := (*failure)(nil); errors.As(err, &end) && end.code == exitAbsent && f.socket == "" {
		return false, nil
	} else if err != nil {
		return true, err
	}
	defer client.Close()
	err = ask(client)
	if errors.Is(err, admin.ErrNotRunning) && f.socket == "" {
		return false, nil
	}
	return true, err
}

func certImportCommand() *cobra.Command {
	var flags socketFlags
	var force bool
	c := &cobra.Command{
		Use:   "import DIR|FILE... [--force] [-c FILE|DIR]... [--socket PATH]",
		Short: "Take over the certificates of another program",
		Long: `Import brings in certificates that another program has obtained, with their keys, for hosts whose certificates gatehouse is to obtain by
itself (tls blocks with acme). So a site moves without a moment with another certificate, and without asking the CA for what is there.
It reads certbot's directory /etc/letsencrypt, Caddy's data directory, the cache directory of golang.org/x/crypto/acme/autocert, directories of PEM files, and single PEM
files as of stunnel and HAProxy, with the key in the file or beside it. Nothing is changed there.

A certificate for a single name is renewed by gatehouse when its time has come. One for several names is served until gatehouse has
obtained one for each of them, which it does at once. A running gatehouse takes it up at once; without one, it is found at the next start.

Exit codes: 0 well, 1 something could not be used, or there was nothing, 2 usage, 3 invalid configuration, 5 not running, where --socket
is given.`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("usage: gatehouse cert import DIR|FILE, one or more")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			var found []tlsconf.Found
			for _, path := range args {
				list, err := tlsconf.FindCertificates(path)
				if err != nil {
					return failed(err)
				}
				found = append(found, list...)
			}
			if len(found) == 0 {
				return failed(fmt.Errorf("no certificate is in %s", strings.Join(args, ", ")))
			}
			running, bad := true, 0
			for _, f := range found {
				if f.Problem != "" {
					bad++
					fmt.Fprintf(c.ErrOrStderr(), "gatehouse: %s%s: %s\n", f.File, forNames(f.Names), f.Problem)
					continue
				}
				done, ran, err := flags.bring(c, f.PEM, force, running)
				running = ran
				switch {
				case errors.Is(err, admin.ErrNotRunning):
					return asked(err)
				case ended(err):
					return err
				case err != nil:
					bad++
					fmt.Fprintf(c.ErrOrStderr(), "gatehouse: %s%s: %v\n", f.File, forNames(f.Names), err)
				default:
					if _, err := fmt.Fprintln(c.OutOrStdout(), done.InWords()); err != nil {
						return failed(err)
					}
				}
			}
			if !running {
				fmt.Fprintln(c.ErrOrStderr(), "gatehouse: none is running that could be told; they are served from the next start on")
			}
			if bad > 0 {
				return &failure{exitFailed, fmt.Errorf("%d of %d not imported", bad, len(found))}
			}
			return nil
		},
	}
	flags.add(c)
	c.Flags().BoolVar(&force, "force", false, "also in the place of certificates that are good for longer")
	return c
}

// ended reports whether err is the end of the command and not what has become of one certificate.
func ended(err error) bool {
	var f *failure
	return errors.As(err, &f)
}

func forNames(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return " (" + strings.Join(names, " ") + ")"
}

// bring hands a certificate to a running gatehouse, or, where none runs, stores it for the next one.
func (f *socketFlags) bring(c *cobra.Command, text []byte, force, running bool) (done *admin.CertImported, ran bool, err error) {
	if running {
		ran, err := f.askIfRunning(c, func(client *admin.Client) (err error) {
			done, err = client.ImportCertificate(c.Context(), admin.CertImport{PEM: string(text), Force: force})
			return err
		})
		if ran {
			return done, true, err
		}
	}
	file, err := f.configured(c)
	if err != nil {
		return nil, false, err
	}
	d, err := tlsconf.Import(c.Context(), file.Global.StateDir, house.CertifiedBlocks(file), text, force)
	if err != nil {
		return nil, false, err
	}
	return house.Brought(d), false, nil
}

func certExportCommand() *cobra.Command {
	var flags socketFlags
	var to, format string
	c := &cobra.Command{
		Use:   "export NAME --to DIR|FILE [--format pem|combined] [-c FILE|DIR]... [--socket PATH]",
		Short: "Write the certificate of a name and its key for another program",
		Long: `Export writes the certificate that clients get who ask for a name, with its chain and its private key. Into a directory that is there, or whose
path ends in a slash, it writes NAME.crt and NAME.key, or, with --format combined, NAME.pem with both; a FILE has both. Only its owner may read what holds
the key; a file that is there keeps its owner, group and mode, unless everybody may read it. What is there is replaced as a whole.

To have that done whenever the certificate is another one, write an export block into the tls block ("gatehouse help export").

Exit codes: 0 well, 1 failed, 2 usage, 3 invalid configuration, 5 not running, where --socket is given. Where none runs, what is stored is written.`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 || to == "" {
				return errors.New("usage: gatehouse cert export NAME --to DIR|FILE")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			var f tlsconf.ExportFormat
			info, err := os.Stat(to)
			dir := err == nil && info.IsDir() || strings.HasSuffix(to, "/")
			switch {
			case format != "":
				if err := f.UnmarshalText([]byte(format)); err != nil {
					return fmt.Errorf("--format: %w", err)
				}
			case dir:
				f = tlsconf.SplitPEM
			default:
				f = tlsconf.CombinedPEM
			}
			if !dir && f == tlsconf.SplitPEM {
				return fmt.Errorf("--format pem writes two files: name a directory, such as %s/", to)
			}
			chain, key, err := flags.taken(c, args[0])
			if err != nil {
				return err
			}
			var written []string
			if dir {
				if err := os.MkdirAll(to, 0o755); err != nil {
					return failed(err)
				}
				written, err = tlsconf.WriteExport(to, f, strings.ToLower(strings.TrimSuffix(args[0], ".")), chain, key, -1)
			} else {
				var changed bool
				if changed, err = tlsconf.WriteCombined(to, chain, key); changed {
					written = []string{filepath.Clean(to)}
				}
			}
			if err != nil {
				return failed(err)
			}
			if len(written) == 0 {
				fmt.Fprintln(c.ErrOrStderr(), "gatehouse: it is there already, nothing has changed")
				return nil
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), strings.Join(written, "\n"))
			return failed(err)
		},
		ValidArgsFunction: func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			return flags.certified(args), cobra.ShellCompDirectiveNoFileComp
		},
	}
	flags.add(c)
	c.Flags().StringVar(&to, "to", "", "where it is written, a `DIR|FILE`")
	c.Flags().StringVar(&format, "format", "", "`pem`, two files, or combined, one (default pem for a directory)")
	return c
}

// taken asks a running gatehouse for the certificate of a name and its key, or, where none runs, reads what is stored.
func (f *socketFlags) taken(c *cobra.Command, name string) (chain, key []byte, err error) {
	ran, err := f.askIfRunning(c, func(client *admin.Client) error {
		p, err := client.ExportCertificate(c.Context(), name)
		if err == nil {
			chain, key = []byte(p.Chain), []byte(p.Key)
		}
		return err
	})
	if ran {
		if err != nil && !ended(err) {
			err = asked(err)
		}
		return chain, key, err
	}
	file, err := f.configured(c)
	if err != nil {
		return nil, nil, err
	}
	return stored(c.Context(), file, name)
}

// stored finds the certificate of a name where the next gatehouse would.
func stored(ctx context.Context, file *config.File, name string) (chain, key []byte, err error) {
	for _, b := range house.CertifiedBlocks(file) {
		chain, key, err := tlsconf.StoredPEM(ctx, file.Global.StateDir, b, name)
		if err == nil {
			return chain, key, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, failed(err)
		}
	}
	return nil, nil, failed(fmt.Errorf("no certificate for %s is stored, and no gatehouse is running", name))
}
