package convert

// A ruling is what becomes of a directive whatever it says.
type ruling struct {
	verdict Verdict
	reason  string
}

const (
	reasonFiles    = "gatehouse serves no files: keep that server behind it, on another port"
	reasonAccess   = "who may come is not told by address or password in this version: everybody would get in"
	reasonOwn      = "not needed"
	reasonACME     = "certificates by ACME are not in this version: name files"
	reasonNoCache  = "there is no cache in this version: every request reaches a server"
	reasonContents = "answers pass as the servers made them"
)

// apacheRulings are directives that need no reading, by their lower-case names.
var apacheRulings = map[string]ruling{}

func init() {
	for reason, names := range map[ruling][]string{
		{Folded, reasonOwn}: {"loadmodule", "loadfile", "serverroot", "serveradmin", "serversignature", "servertokens", "usecanonicalname", "usecanonicalphysicalport", "hostnamelookups", "namevirtualhost",
			"startservers", "minspareservers", "maxspareservers", "minsparethreads", "maxsparethreads", "threadsperchild", "threadlimit", "serverlimit", "maxrequestsperchild", "maxconnectionsperchild", "mutex", "acceptmutex", "defaultruntimedir",
			"accessfilename", "traceenable", "extendedstatus", "keepalive", "maxkeepaliverequests", "enablesendfile", "enablemmap", "contentdigest", "listenbacklog", "scoreboardfile", "coredumpdirectory", "gracefulshutdowntimeout", "protocolshonororder", "protocols",
			"sslsessioncache", "sslsessioncachetimeout", "sslsessiontickets", "sslrandomseed", "sslcryptodevice", "sslcompression", "sslhonorcipherorder", "sslinsecurerenegotiation", "sslpassphrasedialog", "sslmutex", "sslstrictsnivhostcheck", "ssluseostapling", "sslopenSSLconfcmd",
			"proxyrequests", "proxyvia", "proxystatus", "proxyiobuffersize", "proxyreceivebuffersize", "proxybadheader", "setenvif", "setenvifnocase", "browsermatch", "browsermatchnocase", "setenv", "passenv", "unsetenv", "loglevel", "errorlogformat", "define", "undefine", "requestreadtimeout",
			"rewriteengine", "rewriteoptions", "rewritelog", "rewriteloglevel", "allowencodedslashes", "documentrootcheck", "servername_", "balancerpersist", "balancergrowth", "balancerinherit", "proxyset_", "proxyhcexpr", "h2direct", "h2push", "h2upgrade", "remoteipheader", "remoteipinternalproxy", "remoteiptrustedproxy", "remoteipproxyprotocol_", "customlog_", "accept", "acceptfilter", "uselanguagenegotiation"},
		{Refused, reasonFiles}: {"alias", "aliasmatch", "scriptalias", "scriptaliasmatch", "scriptinterpretersource", "action", "fallbackresource", "directoryindex", "directoryslash", "indexoptions", "indexignore", "readmename", "headername", "addicon", "defaulticon", "userdir", "dav", "davlockdb", "davmintimeout",
			"phpadminvalue", "php_admin_value", "php_admin_flag", "php_value", "php_flag", "fcgiwrapper", "fcgidwrapper", "suexecusergroup", "assignuserid", "rubyrequire", "rubyhandler", "pythonhandler", "pythondebug", "pythonpath", "wsgiscriptalias", "wsgidaemonprocess", "wsgiprocessgroup", "wsgiapplicationgroup", "wsgipassauthorization", "passengerroot", "railsenv", "passengerenabled", "sethandler", "addhandler", "options", "allowoverride", "cgimapextension", "xsendfile", "xsendfilepath",
			"idletimeout", "processlifetime", "defaultminclassprocesscount", "defaultmaxclassprocesscount", "ipcconnecttimeout", "ipccommtimeout", "busytimeout", "removehandler", "multiviewsmatch", "contenttype", "virtualdocumentroot"},
		{Refused, reasonAccess}: {"authtype", "authname", "authuserfile", "authgroupfile", "authbasicprovider", "authdigestdomain", "authldapurl", "authldapbinddn", "authldapbindpassword", "satisfy", "sslrequire", "authzsvnaccessfile", "authformprovider", "oidcproviderissuer"},
		{Noted, reasonNoCache}: {"cacheroot", "cacheminfilesize", "cachedirlevels", "cachedirlength", "cachedefaultexpire", "cachemaxexpire", "cacheminexpire", "cacheignorecachecontrol", "cacheignoreheaders", "cacheignorenolastmod", "cacheignorequerystring", "cacheignoreurlsessionidentifiers",
			"cachelastmodifiedfactor", "cachelock", "cachelockmaxage", "cachelockpath", "cachequickhandler", "cachestaleonerror", "cachestoreexpired", "cachestorenostore", "cachestoreprivate", "cachedetailheader", "cacheheader", "cachesocache", "cachesocachemaxsize", "cachereadsize", "cachereadtime", "mcachesize"},
		{Noted, reasonContents}: {"expiresactive", "expiresdefault", "expiresbytype", "addoutputfilterbytype", "addoutputfilter", "setoutputfilter", "deflatecompressionlevel", "deflatebuffersize", "deflatememlevel", "deflatewindowsize", "fileetag", "addtype", "addcharset", "adddefaultcharset", "addencoding", "addlanguage", "defaultlanguage", "languagepriority", "forcelanguagepriority", "removetype", "mimemagicfile", "typesconfig", "defaulttype", "forcetype", "brotlicompressionquality", "filterdeclare", "filterprovider", "filterchain", "substitute", "extfilterdefine", "setinputfilter", "proxyhtmlenable", "proxyhtmlurlmap", "proxyhtmllinks", "proxyhtmlevents", "proxyhtmlextended"},
		{Refused, reasonACME}:   {"mdomain", "mdcertificateagreement", "mdcertificateauthority", "mdcontactemail", "mddrivemode", "mdprivatekeys", "mdrenewmode", "mdrenewwindow", "mdrequirehttps", "mdstoredir", "mdmember", "mdmembers", "mdmuststaple", "mdportmap", "mdhttpproxy", "mdnotifycmd", "mdmessagecmd", "mdcachallenges", "mdomainsetsection", "mdbaseserver", "mdcertificateprotocol", "mdstaplingkeepresponse", "mdstapling", "mdservertransport", "mdchallengedns01", "mdactivationdelay", "mdcertificatefile", "mdcertificatekeyfile", "mdexternalaccountbinding", "mdserverstatus", "mdcertificatestatus", "mdwarnwindow", "mdretrydelay", "mdretryfailover"},
		{Noted, "error pages cannot be configured: the built-in ones are sent"}:   {"errordocument", "proxyerroroverride"},
		{Noted, "messages of the process go to stderr"}:                           {"errorlog"},
		{Noted, "those of Mozilla's profile are used"}:                            {"sslciphersuite", "sslopensslconfcmd", "sslproxyciphersuite", "sslproxyprotocol", "sslecdhcurve"},
		{Noted, "answers of the authority are not stapled"}:                       {"sslusestapling", "sslstaplingcache", "sslstaplingrespondertimeout", "sslstaplingreturnrespondererrors", "sslstaplingstandardcachetimeout", "sslstaplingerrorcachetimeout", "sslstaplingfaketrylater", "sslstaplingforceurl"},
		{Noted, "servers learn of TLS from X-Forwarded-Proto, and no more"}:       {"ssloptions"},
		{Noted, "there are limits of gatehouse's own"}:                            {"limitrequestfields", "limitrequestfieldsize", "limitrequestline", "limitxmlrequestbody", "limitinternalrecursion"},
		{Refused, "there is no web application firewall here"}:                    {"secruleengine", "secrule", "secruleremovebyid", "secaction", "secrequestbodyaccess", "secdatadir", "secauditlog", "modsecurity"},
		{Refused, "content is not changed here"}:                                  {"proxyhtmlinterp", "layoutheader", "pagespeed"},
		{Refused, "a filter of connections: say it in the packet filter"}:         {"dosenabled", "doshashtablesize", "dospagecount", "dossitecount", "qs_srvmaxconnperip", "ratelimit"},
		{Noted, "put it into global: gatehouse runs as one user"}:                 {"user", "group", "pidfile", "chrootdir"},
		{Noted, "global { max_connections } bounds them"}:                         {"maxclients", "maxrequestworkers", "asyncrequestworkerfactor"},
		{Refused, "the path of a cookie is the application's"}:                    {"proxypassreversecookiepath", "proxypassreversecookiedomain"},
		{Refused, "requests to anywhere are not forwarded here"}:                  {"proxyremote", "proxyremotematch", "noproxy", "proxyblock", "proxydomain", "allowconnect", "proxymatch"},
		{Refused, "headers are what routes cannot see: they go by path and host"}: {"rewritemap", "rewritebase"},
	} {
		for _, n := range names {
			apacheRulings[n] = reason
		}
	}
}

// apacheSections are containers of files, and others that say nothing here; their contents are judged like them.
var apacheSections = map[string]ruling{
	"directory": {Refused, reasonFiles}, "directorymatch": {Refused, reasonFiles}, "files": {Refused, reasonFiles}, "filesmatch": {Refused, reasonFiles},
	"limit": {Refused, reasonAccess}, "limitexcept": {Refused, reasonAccess}, "if": {Refused, "routes go by path and host"}, "elseif": {Refused, "routes go by path and host"}, "else": {Refused, "routes go by path and host"},
	"macro": {Refused, "macros are not expanded: convert what httpd -t -D DUMP_CONFIG prints"}, "locationmatch": {Refused, reasonPattern}, "proxymatch": {Refused, reasonPattern},
	"mdomainset": {Refused, reasonACME}, "mdomainsetsection": {Refused, reasonACME}, "requireall": {Refused, reasonAccess}, "requireany": {Refused, reasonAccess}, "requirenone": {Refused, reasonAccess}, "authnprovideralias": {Refused, reasonAccess}, "perl": {Refused, "there are no scripts here"},
}
