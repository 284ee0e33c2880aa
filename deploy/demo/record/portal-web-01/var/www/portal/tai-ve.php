<?php
// Weak on purpose: the file's name is not checked, so ".." leads out of the folder.
$path = '/var/www/portal/files/' . ($_GET['tep'] ?? '');
if (!is_file($path)) { http_response_code(404); exit('Không tìm thấy tệp'); }
header('Content-Type: text/plain; charset=utf-8');
readfile($path);
