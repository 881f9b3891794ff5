-- wrong passwords for usernames of 12 bytes, each of which comes once
local sent = 0
init = function()
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
end
request = function()
  sent = sent + 1
  return wrk.format("POST", "/login", nil, string.format("username=user%08d&password=wrong", sent))
end
