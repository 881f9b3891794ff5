-- more guesses of a client that is locked out
wrk.method = "POST"
wrk.path = "/locked"
wrk.body = "username=eve&password=correct-horse-battery"
wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
