/* A prefix has only bytes that need no escape in a URL, so that every tool reads the same key. */
#include "lake_url.h"

#include <stdio.h>
#include <string.h>

#define ALNUM "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

static bool parse_folder(const char *text, struct lake_url *url, struct err *err)
{
	size_t len = strlen(text);

	if (len >= sizeof(url->folder))
		return err_set(err, ERR_INPUT, "expected a folder of less than %zu bytes",
		               sizeof(url->folder));
	while (len > 1 && text[len - 1] == '/')
		len--;
	if (len == 1 && text[0] == '/')
		return err_set(err, ERR_INPUT, "expected a folder of its own, not /");
	memcpy(url->folder, text, len);
	url->folder[len] = '\0';
	return true;
}

/* Escapes would name another folder than the same text as a path. */
static bool parse_file_url(const char *text, struct lake_url *url, struct err *err)
{
	if (text[0] != '/' || strchr(text, '%'))
		return err_set(err, ERR_INPUT,
		               "expected file:///folder without %% and host, or the folder as a "
		               "path");
	return parse_folder(text, url, err);
}

static bool is_bucket_name(const char *name, size_t len)
{
	return len >= 3 && len < LAKE_BUCKET_MAX && strspn(name, ALNUM "._-") >= len;
}

/* "." and "..", which servers resolve, and empty parts. */
static bool is_part(const char *part, size_t len)
{
	return len > 0 && !(len == 1 && part[0] == '.') &&
	       !(len == 2 && memcmp(part, "..", 2) == 0);
}

static bool is_prefix(const char *prefix)
{
	if (prefix[strspn(prefix, ALNUM "._=/-")] != '\0')
		return false;
	while (*prefix) {
		size_t len = strcspn(prefix, "/");

		if (!is_part(prefix, len))
			return false;
		prefix += len + (prefix[len] == '/');
	}
	return true;
}

static bool parse_s3(const char *text, struct lake_url *url, struct err *err)
{
	size_t len = strcspn(text, "/"), prefix_len;
	const char *prefix = text + len + (text[len] == '/');

	prefix_len = strlen(prefix);
	if (!is_bucket_name(text, len))
		return err_set(err, ERR_INPUT,
		               "expected s3://bucket/prefix with a bucket of 3 to %d letters, "
		               "digits and . _ -",
		               LAKE_BUCKET_MAX - 1);
	if (prefix_len + 2 > sizeof(url->prefix) || !is_prefix(prefix))
		return err_set(err, ERR_INPUT,
		               "expected s3://bucket/prefix with a prefix of at most %zu letters, "
		               "digits and . _ - = /, without empty parts",
		               sizeof(url->prefix) - 2);
	url->is_bucket = true;
	snprintf(url->bucket, sizeof(url->bucket), "%.*s", (int)len, text);
	snprintf(url->prefix, sizeof(url->prefix), "%s%s", prefix,
	         prefix_len > 0 && prefix[prefix_len - 1] != '/' ? "/" : "");
	return true;
}

bool lake_url_parse(const char *text, struct lake_url *url, struct err *err)
{
	*url = (struct lake_url){0};
	if (strncmp(text, "s3://", 5) == 0)
		return parse_s3(text + 5, url, err);
	if (strncmp(text, "file://", 7) == 0)
		return parse_file_url(text + 7, url, err);
	if (!*text || strstr(text, "://"))
		return err_set(err, ERR_INPUT,
		               "expected a folder, file:///folder or s3://bucket/prefix");
	return parse_folder(text, url, err);
}

bool lake_url_check(const char *text, struct err *err)
{
	struct lake_url url;

	return lake_url_parse(text, &url, err);
}
