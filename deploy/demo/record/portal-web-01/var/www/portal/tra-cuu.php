<?php header('Content-Type: text/html; charset=utf-8'); ?>
<h1>Tra cứu hồ sơ</h1><p>Mã hồ sơ: <?= htmlspecialchars($_GET['ma'] ?? '') ?>: đang xử lý</p>
