<!doctype html><meta charset="utf-8"><title>Cổng dịch vụ công</title>
<h1>Cổng dịch vụ công</h1>
<ul><li><a href="/tra-cuu.php?ma=">Tra cứu hồ sơ</a><li><a href="/nop-ho-so.php">Nộp hồ sơ</a><li><a href="/tai-ve.php?tep=mau-01.txt">Biểu mẫu</a></ul>
