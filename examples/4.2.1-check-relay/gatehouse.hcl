# On each web server: port 81 leads to port 80 while the server wants newcomers. Ending this process is the soft-stop.

global { pid_file = "/var/run/gatehouse-checks.pid" }

listen "checks" {
  mode = "tcp"
  bind ":81" {}

  timeouts {
    connect = "1s"
    client  = "10s"
    server  = "10s"
  }

  server "local" "127.0.0.1:80" {}
}
